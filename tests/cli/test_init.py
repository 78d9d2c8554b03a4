"""`hbpr init`: a study file for a table, with the reason for each part of it, that runs."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbpr.cli.main import cli, run
from hbpr.data import load_data
from hbpr.settings import load_trial, load_yaml
from hbpr.settings.shipped import shipped_names
from tune.settings import load_study

DAY = 86_400


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plays(n: int = 3000, *, days: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": rng.integers(0, 60, n),
            "item": rng.integers(100, 180, n),
            "at": 1_700_000_000 + np.sort(rng.integers(0, days * DAY, n)),
        }
    )


def proposed(*args: str) -> dict[str, Any]:
    assert run(cli, ["init", "table", *args, "-o", "out.yaml", "--force"]) == 0
    load_study("out.yaml")  # what `hbpr config check` does
    return load_yaml("out.yaml").data


def table_of(*args: str) -> dict[str, Any]:
    return proposed(*args)["data"]["table"]


def test_a_table_with_times_is_parted_by_time_and_can_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plays().to_csv("plays.csv", index=False)
    assert run(cli, ["init", "table", "plays.csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("wrote plays.yaml.")
    assert "hbpr tune plays.yaml" in out
    data = load_yaml("plays.yaml").data["data"]
    assert data["split"]["kind"] == "temporal"
    assert (data["table"]["min_per_user"], data["table"]["time"]) == (5, "at")
    read = load_data(load_trial("plays.yaml").data)
    assert read.train.n_pairs > read.test.n_pairs > 0


def test_each_line_has_its_reason() -> None:
    plays().to_csv("plays.csv", index=False)
    proposed("plays.csv")
    text = Path("out.yaml").read_text()
    assert "user: user    # by its name" in text
    assert "of the users of the last tenth were there before" in text
    assert "60 users and 80 items stay" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_users_who_come_once_are_parted_by_their_latest() -> None:
    frame = plays()
    frame["user"] = np.arange(len(frame)) // 20  # in the order of time
    frame.to_csv("plays.csv", index=False)
    assert proposed("plays.csv")["data"]["split"] == {"kind": "leave_one_out", "seed": 0}


def test_without_a_time_each_users_rows_are_parted_at_random() -> None:
    plays()[["user", "item"]].to_parquet("plays.parquet")
    assert proposed("plays.parquet")["data"]["split"]["kind"] == "random"


def test_a_file_without_a_header_gets_names_by_the_values() -> None:
    frame = plays()
    frame.insert(2, "stars", np.random.default_rng(1).integers(1, 6, len(frame)))
    frame.to_csv("u.data", sep="\t", header=False, index=False)
    table = table_of("u.data")
    assert table["columns"] == ["user", "item", "value", "time"]
    assert table["delimiter"] == "\t"
    assert load_data(load_trial("out.yaml").data).train.n_pairs > 0


@pytest.mark.parametrize(
    ("values", "threshold"),
    [([1, 2, 3, 4, 5], 3), ([0, 1], 1), ([0, 0, 0, 1], 1), ([5, 5, 5, 5, 1], 5)],
)
def test_the_threshold_leaves_most_rows_on_neither_side(
    values: list[int], threshold: float
) -> None:
    frame = plays()
    frame["rating"] = np.resize(values, len(frame))
    frame.to_csv("plays.csv", index=False)
    found = proposed("plays.csv")
    assert found["data"]["table"]["value"] == "rating"
    assert found["data"]["rating_threshold"] == threshold
    assert found["training"]["negatives"] == {"kind": "all", "observed_weight": 3}


@pytest.mark.parametrize(
    ("events", "positive", "negative"),
    [
        (
            ["subscribe", "unsubscribe", "view"],
            ["subscribe"],
            ["unsubscribe"],
        ),
        (["app_install", "app_uninstall"], ["app_install"], ["app_uninstall"]),
        (["view", "view", "addtocart", "transaction"], ["addtocart", "transaction"], []),
        (["play", "skip"], ["play"], ["skip"]),
        (["true", "false"], ["true"], ["false"]),
        (["alpha", "beta"], ["alpha", "beta"], []),
    ],
)
def test_events_are_told_apart_by_their_words(
    events: list[str], positive: list[str], negative: list[str]
) -> None:
    frame = plays()
    frame["event"] = np.resize(events, len(frame))
    frame.to_csv("plays.csv", index=False)
    table = table_of("plays.csv")
    assert (table["positive_events"], table["negative_events"]) == (positive, negative)
    load_data(load_trial("out.yaml").data)


def test_other_ways_of_writing_a_table_are_found_out() -> None:
    frame = plays()
    frame["item"] = "Müsli " + frame["item"].astype(str)
    text = frame.rename(columns={"user": "KundenNr"}).to_csv(sep=";", index=False)
    Path("käufe.csv.gz").write_bytes(gzip.compress(text.encode("cp1252")))
    table = table_of("käufe.csv.gz", "--user", "KundenNr")
    assert (table["delimiter"], table["encoding"]) == (";", "cp1252")
    assert table["path"] == "käufe.csv.gz"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["table"], "init table: name the file, for example"),
        (["table", "none.csv"], "none.csv: no such file"),
        (["table", "x.csv"], "x.csv: no column looks like the ids of users; name it with --user"),
        (["table", "x.csv", "--user", "c"], "x.csv: there is no column 'c'; the columns are 'a', "),
        (["table", "empty.csv"], "the file is empty"),
        (["table", "head.csv"], "there are no rows below the header"),
        (["x.csv"], "nothing is called 'x.csv'. For a table of your own: hbpr init table x.csv"),
        (["quikstart"], "nothing is called 'quikstart'. Did you mean quickstart?"),
        (["quickstart", "x.csv"], "files go with table"),
        (["quickstart", "-o", "none/x.yaml"], "there is no folder none"),
    ],
)
def test_bad_input_is_one_message_and_writes_nothing(
    args: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.csv").write_text("a,b\n0.5,1.5\n0.25,2.5\n")
    Path("empty.csv").touch()
    Path("head.csv").write_text("user,item\n")
    assert run(cli, ["init", *args]) == 2
    assert message in capsys.readouterr().err
    assert not list(here.glob("*.yaml"))


@pytest.mark.parametrize("name", shipped_names())
def test_files_that_come_with_hbpr_are_written_out(name: str) -> None:
    assert run(cli, ["init", name]) == 0
    load_study(f"{name}.yaml")
    assert f"configs/{name}.yaml" not in Path(f"{name}.yaml").read_text()


def test_nothing_is_written_over_without_force(capsys: pytest.CaptureFixture[str]) -> None:
    Path("quickstart.yaml").write_text("mine\n")
    assert run(cli, ["init"]) == 2
    assert "quickstart.yaml is there already" in capsys.readouterr().err
    assert Path("quickstart.yaml").read_text() == "mine\n"
    assert run(cli, ["init", "--force"]) == 0
    load_study("quickstart.yaml")
