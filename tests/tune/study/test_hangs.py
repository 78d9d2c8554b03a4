import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tune.study.hangs import HangGuard


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_silent_trial_is_killed_once(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ray

    killed: list[str] = []
    monkeypatch.setattr(ray, "kill", killed.append)

    def trial(number: int) -> Any:
        return SimpleNamespace(
            trial_id=f"t{number}",
            config={"trial": number},
            temporary_state=SimpleNamespace(ray_actor=f"actor {number}"),
            error_file=str(tmp_path / "error.txt"),
        )

    told: list[int] = []
    guard, silent, busy, ended = HangGuard(5.0, told.append), trial(0), trial(1), trial(2)
    for each in (silent, busy, ended):
        guard.on_trial_start(0, [], each)
    clock[0] = 4.0
    guard.on_trial_result(0, [], busy, {})
    guard.on_trial_complete(0, [], ended)
    clock[0] = 6.0
    guard.on_step_end(0, [])
    guard.on_step_end(0, [])
    assert killed == ["actor 0"]
    assert told == [0]
    guard.on_trial_error(0, [], silent)
    assert "no report in 5 s" in (tmp_path / "error.txt").read_text()
