"""`hbpr reproduce`: what it names, what it refuses, and the report that it writes."""

from pathlib import Path

import pytest

from hbpr.cli.main import cli, run
from hbpr.reproductions import ROWS, registry

TINY = """
data: {source: synthetic, synthetic: {n_users: 40, n_items: 30, n_shown: 15}}
model: {n_latent: 4}
training: {n_iter: 2, top_k: [10]}
"""


def test_the_rows_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["reproduce", "--list"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(ROWS)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["ml-100k-75-52"], "no row is called 'ml-100k-75-52'. Did you mean ml-100k-75-25?"),
        (["nothing like it"], "Rows: ml-100k, ml-1m, "),
        ([], "give one of NAME, --list and --all"),
        (["ml-100k-75-25", "--all"], "give one of NAME, --list and --all"),
        (["ml-100k-75-25", "--seeds", "2"], "2 is not in the range x>=3"),
    ],
)
def test_bad_input_is_exit_code_2(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, ["reproduce", *args]) == 2
    assert message in capsys.readouterr().err


def test_missing_data_are_told_as_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "ml-100k-75-25.yaml"
    settings.write_text("data: {source: table, table: {path: nowhere.csv}}\n")
    monkeypatch.setattr(registry, "_SETTINGS", tmp_path)
    assert run(cli, ["reproduce", "ml-100k-75-25"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "nowhere.csv" in err
    settings.unlink()
    assert run(cli, ["reproduce", "ml-100k-75-25"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_a_row_prints_ours_beside_the_published_and_writes_its_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ml-100k-75-25.yaml").write_text(TINY)
    monkeypatch.setattr(registry, "_SETTINGS", tmp_path)
    docs = tmp_path / "docs"
    assert run(cli, ["reproduce", "ml-100k-75-25", "--output", str(docs)]) == 0
    captured = capsys.readouterr()
    assert "here: matrix factorization" in captured.out
    assert "published: BPR (Cornac)" in captured.out
    assert captured.err.count("seed ") == 3
    assert "\n## ml-100k-75-25\n" in (docs / "reproductions.md").read_text()
