import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from hbpr.tracking.records import TrialRecord
from tune.report import progress as module
from tune.report.progress import Count, Progress
from tune.settings.goals import Goals, Objective

GOALS = Goals((Objective("val/auc", "max"),))


def trial(number: int, status: str = "RUNNING", **last: object) -> SimpleNamespace:
    return SimpleNamespace(
        status=status,
        error_file=None,
        trial_id=f"t{number}",
        config={"trial": number, "values": {"optimizer.lr": 0.1 * number}},
        last_result=last,
    )


def run_some(progress: Progress) -> None:
    progress.setup()
    ended = [trial(0, finished=True), trial(1, finished=False), trial(2, failed="Diverged")]
    for each in [*ended, trial(3), trial(4)]:
        progress.on_trial_start(0, [], each)
        progress.on_trial_start(0, [], each)
    progress.on_trial_result(0, [], ended[0], {"best_value": 0.25})
    progress.on_trial_result(0, [], ended[2], {"failed": "Diverged"})
    progress.on_trial_result(0, [], ended[1], {"best_value": 0.125})
    for each in ended:
        progress.on_trial_complete(0, [], each)
    progress.on_trial_error(0, [], trial(4, status="ERROR"))


def test_a_plain_line_says_it_all() -> None:
    progress = Progress(8, GOALS, console=Console(file=io.StringIO()))
    run_some(progress)
    assert progress.line() == (
        "4/8 trials: 1 finished, 1 stopped, 2 failed, 1 running; best val/auc 0.2500; "
        "0 s, about a few seconds left"
    )


def test_the_start_does_not_look_like_a_halt() -> None:
    progress = Progress(8, GOALS, console=Console(file=io.StringIO()))
    progress.setup()
    assert progress.line() == "0/8 trials: waiting for the first trial to start; 0 s"
    progress.on_trial_start(0, [], trial(0))
    assert "0 failed, 1 running" in progress.line()


def test_plain_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    progress = Progress(8, GOALS, console=Console(file=out))
    progress.setup()
    for _ in range(250):
        clock[0] += 0.1
        progress.on_step_end(0, [])
    progress.on_experiment_end([])
    assert [line.rpartition("; ")[2] for line in out.getvalue().splitlines()] == [
        "10 s",
        "20 s",
        "25 s",
    ]


def test_a_terminal_gets_a_live_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFRESH_S", 0.0)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    progress = Progress(8, GOALS, console=console)
    run_some(progress)
    progress.on_step_end(0, [])
    progress.close()
    assert "4/8 trials: 1 finished" in out.getvalue()
    assert "best val/auc 0.2500: optimizer.lr=0" in out.getvalue()


def test_a_resumed_study_counts_on() -> None:
    before = [
        TrialRecord(0, {"optimizer.lr": 0.3}, "COMPLETE", 0.5, {2: 0.5}),
        TrialRecord(1, {"optimizer.lr": 0.2}, "PRUNED", 0.1, {2: 0.1}),
        TrialRecord(2, {"optimizer.lr": 0.1}, "RUNNING", None),
    ]
    progress = Progress(8, GOALS, before=before, console=Console(file=io.StringIO()))
    progress.setup()
    assert progress.line().startswith(
        "2/8 trials: 1 finished, 1 stopped, waiting for the first trial to start; "
        "best val/auc 0.5000; "
    )
    assert progress.line().endswith("; 0 s")


def test_a_resumed_study_has_the_time_of_all_sittings(clock: list[float]) -> None:
    progress = Progress(8, GOALS, before_s=62.0, console=Console(file=io.StringIO()))
    progress.setup()
    clock[0] += 8.0
    assert progress.line().endswith("; 8 s (1 min 10 s over all sittings)")


def count_nine(clock: list[float], console: Console | None, *, shown: bool = True) -> None:
    with Count("finalists", shown=shown, console=console) as count:
        for done in range(10):
            clock[0] += 3.0
            count(done, 9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


LINES = [
    "finalists: 3 of 9 done; 12 s",
    "finalists: 7 of 9 done; 24 s",
    "finalists: 9 of 9 done; 30 s",
]


def test_a_count_is_told_now_and_then(clock: list[float]) -> None:
    out = io.StringIO()
    count_nine(clock, Console(file=out))
    assert out.getvalue().splitlines() == LINES


def test_a_count_that_is_not_shown_is_logged(
    clock: list[float], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO", "tune.report.progress")
    count_nine(clock, None, shown=False)
    assert caplog.messages == LINES
    assert capsys.readouterr().out == ""


def test_a_count_is_live_on_a_terminal(clock: list[float]) -> None:
    out = io.StringIO()
    count_nine(clock, Console(file=out, force_terminal=True, width=100))
    assert "finalists: 1 of 9 done; 6 s" in out.getvalue()
    assert out.getvalue().endswith(f"{LINES[-1]}\n")
