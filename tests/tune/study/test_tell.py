"""What a program hears of trials, without Ray."""

from types import SimpleNamespace

import pytest

from tune.settings.goals import Goals, Objective
from tune.study.interrupt import StopRequest
from tune.study.listen import TrialEnd, TrialEvent
from tune.study.tell import Tell
from tune.trial.messages import evaluated, failed

GOALS = Goals((Objective("val/auc", "max"),))


def trial(number: int, status: str = "RUNNING", last: dict | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        status=status,
        last_result=last,
        error_file=None,
        config={"trial": number, "values": {"optimizer.lr": 0.1}},
    )


@pytest.fixture
def stop() -> StopRequest:
    return StopRequest()


@pytest.fixture
def heard() -> list[TrialEvent]:
    return []


@pytest.fixture
def tell(heard: list[TrialEvent], stop: StopRequest) -> Tell:
    return Tell([heard.append], GOALS, stop)


def ends(heard: list[TrialEvent]) -> list[tuple]:
    found = [each for each in heard if isinstance(each, TrialEnd)]
    return [(each.trial, each.state, each.value, each.best_epoch) for each in found]


def test_a_trial_that_fails_keeps_what_it_reached(tell: Tell, heard: list[TrialEvent]) -> None:
    tell.on_trial_result(0, [], trial(7), evaluated({"val/auc": 0.75}, 2, (0.75, 2)))
    tell.on_trial_result(0, [], trial(7), evaluated({"val/auc": 0.5}, 4, (0.75, 2)))
    said = trial(7, last=failed("DivergedError: epoch 5", 5))
    tell.on_trial_result(0, [], said, said.last_result)
    tell.on_trial_complete(0, [], said)
    assert ends(heard) == [(7, "FAIL", 0.75, 2)]
    assert (heard[-1].error, heard[-1].epochs) == ("DivergedError: epoch 5", 5)


def test_the_end_tells_of_whom_tune_said_nothing(tell: Tell, heard: list[TrialEvent]) -> None:
    crashed, told = trial(0, "ERROR"), trial(1, "ERROR")
    tell.on_trial_error(0, [], told)
    tell.on_experiment_end([crashed, told, trial(2, "TERMINATED"), trial(3, "PENDING")])
    assert [(number, state) for number, state, *_ in ends(heard)] == [
        (1, "FAIL"),
        (0, "FAIL"),
        (2, "PRUNED"),
    ]
    assert heard[1].error == "the trial's process ended without a message"


def test_what_a_request_stops_can_go_on(
    tell: Tell, heard: list[TrialEvent], stop: StopRequest
) -> None:
    stop.requested = True
    done = evaluated({}, 4, (0.75, 2), finished=True)
    tell.on_experiment_end(
        [trial(0, "TERMINATED"), trial(1, "ERROR"), trial(2, "TERMINATED", done)]
    )
    assert [each[:2] for each in ends(heard)] == [(1, "FAIL"), (2, "COMPLETE")]
