"""Records that reach MLflow late: what `hbpr study sync` sends."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hbpr.errors import StudyError, TrackingError
from tune.tracking.delivery import _Change
from tune.tracking.sync import sync


def test_what_a_running_driver_holds_is_left_alone(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    with pytest.raises(StudyError, match="another process"):
        sync(recorder.folder)
    recorder.finish()


KILLED_DRIVER = """
import importlib.util, os, signal, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
spec = importlib.util.spec_from_file_location("of_tests", sys.argv[2])
module = importlib.util.module_from_spec(spec)
sys.modules["of_tests"] = module
spec.loader.exec_module(module)
recording = module.Recording(Path(sys.argv[3]), sys.argv[4])
recorder = recording.recorder()
recorder.open()
for number in range(60):
    recording.play(recorder, number, [0.1, 0.2, 0.3], finished=True)
    if number == 30:
        recorder.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_driver_left_is_sent_by_sync(recording) -> None:
    here = Path(__file__)
    helper = here.parents[1] / "support" / "recording.py"
    words = [here.parents[3], helper, recording.folder.parent, recording.uri]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_DRIVER, *map(str, words)],
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    counts = sync(recording.folder)
    assert counts["sent"] > 0
    assert counts["left"] == 0
    runs = recording.runs()
    assert len(runs) == 61
    for number in range(60):
        run = runs[f"trial-{number:03d}"]
        assert run.info.status == "FINISHED"
        assert recording.steps(run) == [5, 10, 15]
    assert sync(recording.folder) == {"sent": 0, "left": 0}


def test_everything_sent_twice_is_there_once(recording) -> None:
    recorder = recording.recorder()
    recorder.open()
    recording.play(recorder, 0, [0.1, 0.2], finished=True)
    recorder.finish()
    (recording.folder / "outbox/sent").write_text("0")
    assert sync(recording.folder) == {"sent": 6, "left": 0}
    runs = recording.runs()
    assert set(runs) == {"study s1", "trial-000"}
    assert recording.steps(runs["trial-000"]) == [5, 10]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_a_record_that_the_client_chokes_on_is_sent_by_sync(
    recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = _Change.add

    def choke(change: _Change, event: dict[str, Any]) -> None:
        if (event["event"], event.get("trial")) == ("start", 1):
            raise KeyError("a mistake of ours")
        add(change, event)

    recorder = recording.recorder()
    with monkeypatch.context() as broken:
        broken.setattr(_Change, "add", choke)
        recorder.open()
        for number in range(3):
            recording.play(recorder, number, [0.1, 0.2], finished=True)
        assert not recorder.finish()
        assert recording.steps(recording.runs()["trial-002"]) == [5, 10]
        assert sync(recording.folder)["left"] == 1
    assert sync(recording.folder) == {"sent": 1, "left": 0}
    runs = recording.runs()
    assert set(runs) == {"study s1", "trial-000", "trial-001", "trial-002"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert runs["trial-001"].data.params == {"optimizer.lr": "0.05", "model.hidden": "[8, 4]"}
    assert recording.steps(runs["trial-001"]) == [5, 10]
    assert sync(recording.folder) == {"sent": 0, "left": 0}


def test_a_folder_without_records_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no records of a study"):
        sync(tmp_path)


def test_a_store_that_is_away_is_told(recording) -> None:
    recorder = recording.recorder("http://127.0.0.1:9")
    recorder.open()
    assert not recorder.finish(timeout_s=0.2)
    with pytest.raises(TrackingError, match="does not answer"):
        sync(recorder.folder)
