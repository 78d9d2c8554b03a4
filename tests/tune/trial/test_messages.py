import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from tune.trial.messages import (
    epoch_of,
    error_of,
    evaluated,
    failed,
    failure_of,
    is_finished,
    number_of,
    outcome_of,
    seconds_of,
    state_of,
    untold_ends,
    validation_of,
)


def test_what_an_evaluation_says_is_read_back() -> None:
    measured = {"val/ndcg_at_10": 0.5, "val/mrr": math.nan, "train/loss": 1.0}
    result = evaluated(measured, 4, (0.6, 2), finished=True, n_triples=9, train_s=1.5, eval_s=0.5)
    assert (epoch_of(result), seconds_of(result), is_finished(result)) == (4, 2.0, True)
    assert validation_of(result) == {"val/ndcg_at_10": 0.5}
    assert failure_of(result) is None
    assert result["done"], "Tune ends it"
    assert not is_finished(evaluated(measured, 4, (0.6, 2)))


def test_what_a_trial_that_cannot_go_on_says_is_read_back() -> None:
    result = failed("DivergedError: epoch 3", 3)
    assert (epoch_of(result), seconds_of(result), is_finished(result)) == (3, 0.0, False)
    assert validation_of(result) == {}
    assert failure_of(result) == "DivergedError: epoch 3"
    assert result["done"], "Tune ends it"


def test_nothing_was_said() -> None:
    for nothing in (None, {}):
        assert not is_finished(nothing)
        assert failure_of(nothing) is None
    assert epoch_of({}) is None


@pytest.mark.parametrize(
    ("status", "last", "outcome"),
    [
        ("RUNNING", evaluated({}, 4, (0.5, 4), finished=True), ("COMPLETE", None)),
        ("TERMINATED", evaluated({}, 2, (0.5, 2)), ("PRUNED", None)),
        ("PAUSED", None, ("PRUNED", None)),
        ("RUNNING", failed("DivergedError: epoch 3", 3), ("FAIL", "DivergedError: epoch 3")),
        (
            "ERROR",  # also after a last result that says that it finished
            evaluated({}, 4, (0.5, 4), finished=True),
            ("FAIL", "the trial's process ended without a message"),
        ),
    ],
)
def test_how_a_trial_ended(status: str, last: dict | None, outcome: tuple) -> None:
    trial = SimpleNamespace(status=status, last_result=last, error_file=None)
    assert outcome_of(trial) == outcome
    assert state_of(last, crashed=status == "ERROR") == outcome[0]
    assert untold_ends([trial]) == ([trial] if status in ("ERROR", "TERMINATED") else [])


def test_the_last_line_of_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("Traceback ...\nOSError: gone\n\n")
    trial = SimpleNamespace(config={"trial": 3}, error_file=str(tmp_path / "error.txt"))
    assert (number_of(trial), error_of(trial)) == (3, "OSError: gone")
    nothing = SimpleNamespace(error_file=None)
    assert error_of(nothing) == "the trial's process ended without a message"
