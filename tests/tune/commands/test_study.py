"""`hbpr study` without Ray."""

import json
import re
from pathlib import Path

import pytest

from hbpr.cli.main import cli, run
from tune.storage import folder as folders
from tune.storage.folder import StudyFolder, read_settings
from tune.tracking.outbox import Outbox


@pytest.fixture
def folder(small_study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyFolder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return folders.create(small_study(), {"{}": "fingerprint"})


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert run(cli, ["study", *words]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_a_study_is_listed_in_each_state(folder: StudyFolder, capsys) -> None:
    assert "unfinished" in said(capsys, "list")
    outbox = Outbox(folder.path / "outbox")
    assert "running" in said(capsys, "list")
    outbox.close()
    before = {"best": {"value": 0.25}, "states": {"COMPLETE": 3, "PRUNED": 1}}
    now = {"format": 2, "winner": {"value": 0.25}, "trials": [{}, {}, {}, {}]}
    for summary in (before, now):
        folder.summary.write_text(json.dumps(summary))
        listed = said(capsys, "list")
        assert re.search(r"finished +│ 4 +│ 0.2500", listed)
    folder.summary.write_text("{")
    assert "unreadable: " in said(capsys, "list")


def test_studies_of_two_metrics_have_a_table_each(folder: StudyFolder, capsys) -> None:
    assert "best val/ndcg_at_10" in said(capsys, "list")
    settings = read_settings(folder.path)[0]
    sweep = settings.sweep.model_copy(update={"metric": "val/auc"})
    folders.create(settings.model_copy(update={"sweep": sweep}), {"{}": "fingerprint"})
    listed = said(capsys, "list")
    assert listed.count("trials") == 2
    assert "best val/ndcg_at_10" in listed
    assert "best val/auc" in listed


def test_a_folder_without_studies_is_told(capsys, tmp_path: Path) -> None:
    told = said(capsys, "list", "--storage", str(tmp_path))
    assert f"no studies in {tmp_path}: no EXPERIMENT/STUDY/settings.json" in told
    nowhere = tmp_path / "nowhere"
    told = said(capsys, "list", "--storage", str(nowhere), code=2)
    assert f"there is no folder {nowhere}" in told
    told = said(capsys, "show", str(tmp_path), code=2)
    assert told.startswith(f"error: {tmp_path}: this is not the folder of a study")
    assert "hbpr study list" in told


def test_a_study_of_another_version_is_listed_and_cannot_be_shown(folder, capsys) -> None:
    content = json.loads(folder.settings.read_text())
    content["settings"]["sweep"]["unknown"] = 1
    folder.settings.write_text(json.dumps(content))
    assert "unreadable: " in said(capsys, "list")
    assert "another version of hbpr" in said(capsys, "show", str(folder.path), code=2)


def test_a_study_is_shown(folder: StudyFolder, capsys) -> None:
    told = said(capsys, "show", str(folder.path))
    assert "unfinished, trials: 0 of 4" in told
    assert f"hbpr study resume {folder.path}" in told
    folder.text.write_text("the page\n")
    folder.summary.write_text("{}")
    assert said(capsys, "show", str(folder.path)) == "the page\n"


def test_what_cannot_be_resumed_is_told(folder: StudyFolder, capsys, tmp_path: Path) -> None:
    assert "not the folder of a study" in said(capsys, "resume", str(tmp_path), code=2)
    wrong = said(capsys, "resume", str(folder.path), "--set", "sweep.num_trals=3", code=2)
    assert "--set sweep.num_trals" in wrong
    content = json.loads(folder.settings.read_text())
    folder.settings.write_text(json.dumps(content | {"data": {"": "f"}}))
    told = said(capsys, "resume", str(folder.path), code=2)
    assert "given in memory and are not in its folder; give them again from Python" in told


def test_sync_without_records_is_told(folder: StudyFolder, capsys) -> None:
    assert "no records of a study" in said(capsys, "sync", str(folder.path), code=2)
