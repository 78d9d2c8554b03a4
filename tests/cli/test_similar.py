"""`hbpr similar`: tables on the terminal, whole catalogues in files."""

from pathlib import Path

import pandas as pd
import pytest

from hbpr.cli.main import run
from hbpr.cli.similar import similar
from hbpr.inference import load

MODEL = Path(__file__).parents[1] / "fixtures" / "format_1" / "mf"


def test_neighbours_of_items_and_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(similar, [str(MODEL), "--item", "3", "--item", "5", "-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = load(MODEL).similar_items([3, 5], k=2)
    assert [line for line in lines if line.startswith("item")] == ["item 3", "item 5"]
    listed = [line.split() for line in lines if line.startswith(" ")]
    assert [int(words[2]) for words in listed] == found["similar_item"].tolist()
    assert run(similar, [str(MODEL), "--user", "3", "-k", "1"]) == 0
    expected = load(MODEL).similar_users([3], k=1)["similar_user"].item()
    assert capsys.readouterr().out.splitlines()[1].split()[2] == str(expected)


def test_the_whole_catalogue_goes_into_a_file(tmp_path: Path) -> None:
    out = tmp_path / "near.parquet"
    assert run(similar, [str(MODEL), "--all-items", "-k", "3", "-o", str(out)]) == 0
    expected = load(MODEL).similar_items(k=3)
    assert pd.read_parquet(out)["similar_item"].tolist() == expected["similar_item"].tolist()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "expected one of --item ID, --user ID"),
        (["--item", "1", "--all-users"], "got 2 of them"),
        (["--all-items"], "add -o FILE"),
        (["--item", "99"], "unknown item '99'"),
        (["--item", "1", "-o", "near.doc"], "must end with one of"),
    ],
)
def test_bad_input_is_one_message(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(similar, [str(MODEL), *options]) == 2
    assert told in capsys.readouterr().err
