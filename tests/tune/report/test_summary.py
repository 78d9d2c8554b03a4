"""What a study's folder says of its result, in three forms that are drawn from one record."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hbpr.errors import StudyFolderError
from hbpr.tracking.records_json import FORMAT
from tune.report.summary import (
    headline,
    read_summary,
    records_arrived,
    write_page,
    write_summary,
)
from tune.storage.folder import StudyFolder

BEFORE = Path(__file__).parents[2] / "fixtures" / "format_1" / "finished"
SENT_BY = "the rest is sent by: hbpr study sync"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    """A study of 6 trials that an earlier version ran to its end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    path = tmp_path / "studies" / "before" / "20261129-104241-545b"
    shutil.copytree(BEFORE, path)
    for each in path.rglob("*.*"):
        if each.suffix in {".json", ".txt"}:
            each.write_text(each.read_text().replace("@FOLDER@", str(tmp_path)))
    return StudyFolder(path)


def without_programs(text: str) -> str:
    """Leave out the commands, whose programs lie elsewhere."""
    return text.partition("\nNext\n")[0]


def test_a_study_of_an_earlier_version_says_what_it_said(folder: StudyFolder) -> None:
    before = folder.text.read_text().replace(" pruned", " stopped")  # its word of then
    record = read_summary(folder)
    assert headline(folder) == (6, record.winner.value)
    write_page(record, folder.page)
    write_summary(record, folder)
    assert without_programs(folder.text.read_text()) == without_programs(before)
    assert json.loads(folder.summary.read_text())["format"] == FORMAT
    assert read_summary(folder) == record
    assert headline(folder) == (6, record.winner.value)
    page = folder.page.read_text()
    assert "Winner: trial 0" in page
    assert 'id="figure-curves"' in page


def test_the_summary_no_longer_asks_for_what_has_arrived(folder: StudyFolder) -> None:
    record = read_summary(folder)
    waiting = replace(record, tracking=replace(record.tracking, away_s=9.0, arrival="partial"))
    write_page(waiting, folder.page)
    write_summary(waiting, folder)
    for path in (folder.text, folder.page):
        assert f"for 9 s; {SENT_BY} {folder.path}" in path.read_text()
    records_arrived(folder)
    for path in (folder.text, folder.page):
        assert "MLflow did not answer for 9 s; all records have arrived since" in path.read_text()
        assert SENT_BY not in path.read_text()
    after = read_summary(folder)
    assert after == replace(waiting, tracking=replace(waiting.tracking, arrival="later"))
    records_arrived(folder)
    assert read_summary(folder) == after


def test_an_earlier_version_waited_for_records_too(folder: StudyFolder) -> None:
    content = json.loads(folder.summary.read_text())
    content["notes"] = [f"MLflow did not answer for 9 s; {SENT_BY} {folder.path}", "another"]
    folder.summary.write_text(json.dumps(content))
    records_arrived(folder)
    record = read_summary(folder)
    assert (record.tracking.away_s, record.tracking.arrival) == (9.0, "later")
    assert record.notes == ("another",)


def test_nothing_is_written_for_a_study_that_has_not_ended(folder: StudyFolder) -> None:
    folder.summary.unlink()
    text = folder.text.read_text()
    records_arrived(folder)
    assert folder.text.read_text() == text
    assert not folder.summary.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 3}', '{"format": 2}'])
def test_a_summary_that_cannot_be_read_is_one_message(folder: StudyFolder, content: str) -> None:
    folder.summary.write_text(content)
    for read in (read_summary, headline):
        with pytest.raises(StudyFolderError, match="the summary cannot be read"):
            read(folder)
