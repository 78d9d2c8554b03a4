"""A real MLflow server goes away for a while in the middle of a whole study, and comes back."""

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import tune.study.conclude
from hbpr.tracking.store import open_client
from tune.settings import StudySettings
from tune.study import run_study

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.usefixtures("shared_ray")]

N_TRIALS = 8
OUTAGE_S = 6.0


def go_away_and_come_back(
    server, runs: Callable[[], dict[str, str]], outage_s: float, told: list[int]
) -> None:
    """Stop the server once it holds a few runs, and start it again."""
    deadline = time.monotonic() + 240
    while len(runs()) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    server.stop()
    told.append(len(runs()))
    time.sleep(outage_s)
    server.start()
    told.append(len(runs()))


def test_a_study_goes_on_and_mlflow_holds_all_of_it(
    small_study: Callable[..., StudySettings],
    server,
    runs,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find_answer = tune.study.conclude.find_answer

    def find_late(*settings: Any, **more: Any) -> Any:
        """However slow this machine starts a server: the study is not over before it is there."""
        outage.join()
        return find_answer(*settings, **more)

    monkeypatch.setattr("tune.study.conclude.find_answer", find_late)
    server.start()
    settings = small_study(
        {"num_trials": N_TRIALS, "max_concurrent": 1},
        training={"n_iter": 600, "eval_every": 100},
        mlflow={"tracking_uri": server.uri},
    )
    seen: list[int] = []
    outage = threading.Thread(target=go_away_and_come_back, args=[server, runs, OUTAGE_S, seen])
    outage.start()
    result = run_study(settings, progress=False)
    outage.join()
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * N_TRIALS
    assert seen[0] < N_TRIALS + 1, "the server went away in the middle"
    assert "The study goes on; its records wait in" in caplog.text
    assert "answers again; what waited is sent" in caplog.text
    (note,) = (note for note in result.notes if "MLflow" in note)
    away = re.fullmatch(r"MLflow did not answer for (\d+) s; all records have arrived", note)
    assert away is not None, note
    assert int(away[1]) >= OUTAGE_S - 2

    assert runs() == {f"trial-{n:03d}": "FINISHED" for n in range(N_TRIALS)} | {
        f"study {result.study_id}": "FINISHED"
    }
    client = open_client(server.uri)
    for trial in result.trials:
        points = client.get_metric_history(trial.run_id, "val/ndcg_at_10")
        assert [point.step for point in points] == list(range(100, 601, 100))
    assert client.get_run(result.run_id).data.tags["hbpr.best_trial"] == str(result.best.number)
