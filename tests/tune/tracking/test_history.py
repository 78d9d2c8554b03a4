from hbpr.tracking.records import RunRecord
from tune.tracking.events import trial_end, trial_start
from tune.tracking.history import History


def test_why_trials_failed_is_known_until_they_get_another_try() -> None:
    history = History("val/ndcg_at_10")
    for number in (0, 1):
        history.note(trial_start(number, {}, "study s", None) | {"at": 5})
        history.note(trial_end(number, "FAILED", "DivergedError: epoch 1") | {"at": 7})
    for number in (1, 2):
        history.note(trial_start(number, {}, "study s", None) | {"at": 8})
    history.note(trial_end(2, "FINISHED", node="10.0.0.1") | {"at": 9})
    assert history.errors == {0: "DivergedError: epoch 1"}
    assert history.runs == {
        0: RunRecord("trial-000", "trial", 5, 7),
        1: RunRecord("trial-001", "trial", 5),
        2: RunRecord("trial-002", "trial", 8, 9, node="10.0.0.1"),
    }
