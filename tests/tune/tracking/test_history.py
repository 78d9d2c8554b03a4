from tune.tracking.events import trial_end
from tune.tracking.history import History


def test_why_trials_failed_is_known_until_they_get_another_try() -> None:
    history = History("val/ndcg_at_10")
    for number in (0, 1):
        history.note({"event": "start", "trial": number})
        history.note(trial_end(number, "FAILED", "DivergedError: epoch 1"))
    history.note({"event": "start", "trial": 1})
    history.note({"event": "start", "trial": 2})
    history.note(trial_end(2, "FINISHED"))
    assert history.errors == {0: "DivergedError: epoch 1"}
