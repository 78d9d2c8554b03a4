"""`hbpr recommend`: what it writes, says and refuses; on a cluster the same."""

from pathlib import Path

import pandas as pd
import pytest

from cluster.batch.command import recommend
from hbpr.cli.main import run
from hbpr.inference import load

MODEL = Path(__file__).parents[2] / "fixtures" / "format_1" / "mf"


def test_lists_of_a_file_of_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "users.txt").write_text("3\nx\n5\n")
    out = tmp_path / "recs.csv"
    given = [str(MODEL), "--users", str(tmp_path / "users.txt"), "-k", "2", "-o", str(out)]
    assert run(recommend, given) == 0
    expected = load(MODEL).recommend([3, 5], k=2)
    assert pd.read_csv(out)["item"].tolist() == expected["item"].tolist()
    said = capsys.readouterr().err
    assert f"wrote the lists of 2 users to {out}" in said
    assert "1 users are not known to the model and have no list ('x')" in said
    assert (tmp_path / "recs.unknown.txt").read_text() == "x\n"


def test_everyone_with_filters(tmp_path: Path) -> None:
    (tmp_path / "denied.csv").write_text("item\n1\n2\n99\n")
    out = tmp_path / "recs.parquet"
    given = [str(MODEL), "-k", "15", "-o", str(out), "--deny-items", str(tmp_path / "denied.csv")]
    assert run(recommend, [*given, "--include-seen", "--diversity", "0.3"]) == 0
    table = pd.read_parquet(out)
    assert table["user"].nunique() == 12
    assert not {1, 2} & set(table["item"])
    expected = load(MODEL).recommend(k=15, exclude_seen=False, deny_items=[1, 2], diversity=0.3)
    assert table["item"].tolist() == expected["item"].tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "recs.txt"], "must end with one of"),
        (["-o", "recs.csv", "--users", "none.csv"], "there is no such file of user ids"),
        (["-o", "recs.csv", "--item-feature", "red"], "'red' is not a feature"),
        (["-o", "recs.csv", "-k", "0"], "-k"),
        ([], "Missing option"),
    ],
)
def test_bad_input_is_one_message(
    options: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(recommend, [str(MODEL), *options]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
@pytest.mark.long
def test_a_cluster_writes_the_same_file(token_head, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    program = (
        "from hbpr.inference.batch import job; job._LEAST_USERS, job._PART_ROWS = 5, 1\n"
        "from cluster.batch.command import recommend\n"
        "from hbpr.cli.main import run; import sys; sys.exit(run(recommend))"
    )
    out = tmp_path / "recs.parquet"
    given = [MODEL, "-k", "3", "-o", out, "--address", token_head.address]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, given)],
        env=token_head.env | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = load(MODEL).recommend(k=3)
    assert pd.read_parquet(out)["item"].tolist() == expected["item"].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["recs.parquet"]
