from types import SimpleNamespace

from ray.tune.experiment import Trial

from tune.study.housekeeping import ForgetEnded


def trial(name, status):
    """What the callback looks at in a trial of Ray's."""
    kept = SimpleNamespace(metric_analysis={"loss": {}}, metric_n_steps={"loss": {}})
    ended = status in {Trial.TERMINATED, Trial.ERROR}
    return SimpleNamespace(name=name, is_finished=lambda: ended, run_metadata=kept)


def test_trials_that_ended_are_forgotten_all_but_the_last():
    forget = ForgetEnded()
    stopped, crashed, last = (trial(n, Trial.TERMINATED) for n in ("stopped", "crashed", "last"))
    runs = trial("runs", Trial.RUNNING)
    trials = [stopped, runs, crashed, last]
    forget.on_trial_complete(0, trials, stopped)
    forget.on_step_end(0, trials)
    assert trials == [stopped, runs, crashed, last]
    forget.on_trial_error(1, trials, crashed)
    forget.on_trial_complete(1, trials, last)
    forget.on_step_end(1, trials)
    assert trials == [runs, last]
    assert stopped.run_metadata.metric_n_steps == {}
    assert last.run_metadata.metric_n_steps == {"loss": {}}


def test_a_trial_that_is_tried_again_or_was_never_told_stays():
    forget = ForgetEnded()
    again, untold = trial("again", Trial.PENDING), trial("untold", Trial.TERMINATED)
    first, last = trial("first", Trial.TERMINATED), trial("last", Trial.TERMINATED)
    trials = [again, untold, first, last]
    for each in (again, first, first, last):
        forget.on_trial_complete(0, trials, each)
    forget.on_step_end(0, trials)
    assert trials == [again, untold, last]
