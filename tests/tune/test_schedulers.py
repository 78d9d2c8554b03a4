"""Schedulers that hold no trial, on a fake clock and once in a real Ray; others: test_halving."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ray import tune as ray_tune
from ray.tune.schedulers import TrialScheduler

from hbpr.settings.models import TrialSettings
from tune.journal import JournalTrial, read_journal
from tune.schedulers import make_scheduler
from tune.searcher import OptunaSearcher
from tune.settings import SchedulerSettings
from tune.space import Space
from tune.space_check import check_space

METRIC = "val/ndcg_at_10"
PERIOD = 5
LAST = 45


@dataclass(frozen=True)
class FakeTrial:
    number: int

    @property
    def trial_id(self):
        return str(self.number)

    @property
    def config(self):
        return {"trial": self.number}


class Clock:
    """Runs trials side by side, one evaluation period at a time, without Ray."""

    def __init__(self, kind, *, before=(), **options):
        settings = SchedulerSettings(kind=kind, **{"grace_period": 5, **options})
        self.scheduler = make_scheduler(settings, metric=METRIC, before=before)
        self.first = len(before)
        self.lived = {}

    def run(self, values, *, shape=lambda value, epoch: value):
        """Return the epoch at which each trial ended; all start at once, in the given order."""
        first = self.first + len(self.lived)
        trials = {FakeTrial(first + i): value for i, value in enumerate(values)}
        for trial in trials:
            self.scheduler.on_trial_add(None, trial)
            self.lived[trial] = 0
        running = dict(trials)
        for epoch in range(PERIOD, LAST + 1, PERIOD):
            for trial, value in list(running.items()):
                result = {"epoch": epoch, METRIC: shape(value, epoch)}
                decision = self.scheduler.on_trial_result(None, trial, result)
                assert decision != TrialScheduler.PAUSE
                self.lived[trial] = epoch
                if decision == TrialScheduler.STOP or epoch == LAST:
                    self.scheduler.on_trial_complete(None, trial, result)
                    del running[trial]
        return [self.lived[trial] for trial in trials]


class TestFakeClock:
    def test_median_lets_the_grace_period_pass(self):
        clock = Clock("median", grace_period=20)
        assert clock.run([0.5, 0.6, 0.7]) == [45, 45, 45]
        assert clock.run([0.1]) == [20]

    def test_median_stops_what_is_below_the_median(self):
        clock = Clock("median")
        assert clock.run([0.5, 0.6, 0.7]) == [45, 45, 45]
        assert clock.run([0.1]) == [5]
        assert clock.run([0.9]) == [45]

    def test_median_survives_trials_that_ended_without_the_metric(self):
        clock = Clock("median")
        for number, result in ((97, {"epoch": 20, "failed": "x"}), (98, {"failed": "x"})):
            trial = FakeTrial(number)
            clock.scheduler.on_trial_add(None, trial)
            clock.scheduler.on_trial_complete(None, trial, result)
        assert clock.run([0.5, 0.6, 0.7, 0.8])[-1] == 45

    def test_none_stops_nothing(self):
        assert Clock("none").run([0.9, 0.1, 0.0]) == [45, 45, 45]

    @pytest.mark.parametrize("kind", ["asha", "hyperband", "pbt"])
    def test_rules_that_hold_trials_are_made_elsewhere(self, kind):
        with pytest.raises(ValueError, match=f"{kind} holds trials; see tune.asha and tune.pbt"):
            Clock(kind)

    def test_a_resumed_study_compares_with_trials_that_ended(self):
        good = dict.fromkeys(range(5, 50, 5), 0.8)
        before = [JournalTrial(i, {}, "COMPLETE", 0.8, good, None) for i in range(4)]
        before += [JournalTrial(i, {}, "FAIL", None, {}, None) for i in (4, 5)]
        assert Clock("median").run([0.1]) == [45]
        assert Clock("median", before=before).run([0.1]) == [5]

    def test_global_random_numbers_are_left_alone(self):
        state = np.random.get_state()[1].tolist()  # noqa: NPY002
        Clock("median").run([0.1, 0.2, 0.3, 0.4])
        assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


class Driver:
    """A study's driver without Ray: what the journal knows survives it, the scheduler does not."""

    def __init__(self, curves):
        self.curves = curves
        self.settings = SchedulerSettings(kind="median", grace_period=5)
        self.trials = {
            number: JournalTrial(number, {}, "RUNNING", None, {}, None)
            for number in range(len(curves))
        }
        self.start({})

    def start(self, checkpoints):
        """Begin a sitting, in which every unfinished trial goes on from its checkpoint."""
        self.scheduler = make_scheduler(
            self.settings, metric=METRIC, before=list(self.trials.values())
        )
        self.at = dict.fromkeys(self.trials, 0) | checkpoints

    def tick(self):
        """Let every running trial report once, the later ones later."""
        for number, trial in list(self.trials.items()):
            if trial.state != "RUNNING":
                continue
            fake = FakeTrial(number)
            if self.at[number] == 0 or number not in self.scheduler._last:
                self.scheduler.on_trial_add(None, fake)
            self.at[number] += PERIOD
            epoch = self.at[number]
            result = {"epoch": epoch, METRIC: self.curves[number] * (1 + epoch / 100)}
            trial.reports.setdefault(epoch, result[METRIC])
            stopped = False
            if epoch < LAST:
                decision = self.scheduler.on_trial_result(None, fake, result)
                stopped = decision == TrialScheduler.STOP
            if stopped or epoch == LAST:
                self.scheduler.on_trial_complete(None, fake, result)
                state = "PRUNED" if stopped else "COMPLETE"
                self.trials[number] = replace(trial, state=state)

    def known(self):
        """Return the epochs that the rule has heard of, by trial."""
        results = self.scheduler.rule._results
        return {trial.number: [told["epoch"] for told in results[trial]] for trial in results}


class TestResumed:
    """The scheduler of a resumed study hears nothing twice."""

    CURVES = (0.5, 0.9, 0.3, 0.8, 0.6, 0.7, 0.2, 0.85, 0.4)

    def test_a_report_is_heard_once(self):
        driver = Driver(self.CURVES)
        for _ in range(3):
            driver.tick()
        known = driver.known()
        driver.start({number: max(0, at - 10) for number, at in driver.at.items()})
        driver.tick()
        driver.tick()
        assert driver.known() == known
        assert any(known.values())

    def test_a_trial_that_a_fault_started_again(self):
        driver = Driver((0.5,))
        trial = FakeTrial(0)
        for epoch, value in ((5, 0.5), (10, 0.6), (5, 0.5), (10, 0.6)):
            driver.scheduler.on_trial_add(None, trial)  # Ray adds a trial again after a crash
            driver.scheduler.on_trial_result(None, trial, {"epoch": epoch, METRIC: value})
        assert driver.known() == {0: [5, 10]}


class Curve(ray_tune.Trainable):
    """Reports its own learning rate at every fifth epoch, up to epoch 30."""

    def setup(self, config):
        self.reset_config(config)

    def reset_config(self, new_config):
        self.height, self.epoch = new_config["values"]["optimizer.lr"], 0
        return True

    def step(self):
        self.epoch += PERIOD
        done = self.epoch >= 30
        return {METRIC: self.height, "epoch": self.epoch, "finished": done, "done": done}

    def save_checkpoint(self, checkpoint_dir):
        with open(os.path.join(checkpoint_dir, "epoch"), "w") as file:
            file.write(str(self.epoch))

    def load_checkpoint(self, checkpoint):
        with open(os.path.join(checkpoint, "epoch")) as file:
            self.epoch = int(file.read())


@pytest.mark.ray
@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("kind", ["median", "none"])
def test_in_ray(tmp_path, kind):
    heights = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.01]
    space = check_space(Space.parse({"optimizer.lr": heights}), TrialSettings())
    searcher = OptunaSearcher(
        space, folder=tmp_path / "study", study_id="s", metric=METRIC, algorithm="grid"
    )
    settings = SchedulerSettings(kind=kind, grace_period=5)
    ray_tune.run(
        Curve,
        num_samples=len(heights),
        search_alg=searcher,
        scheduler=make_scheduler(settings, metric=METRIC),
        max_concurrent_trials=2,
        resources_per_trial={"cpu": 1},
        reuse_actors=True,
        storage_path=str(tmp_path / "ray"),
        raise_on_failed_trial=False,
        verbose=0,
    )
    trials = read_journal(tmp_path / "study", space)
    assert [t.values["optimizer.lr"] for t in trials] == heights
    complete = [t for t in trials if t.state == "COMPLETE"]
    pruned = [t for t in trials if t.state == "PRUNED"]
    assert len(complete) + len(pruned) == len(heights)
    assert complete[0].number == 0
    for trial in trials:
        ends_at = max(trial.reports)
        assert (ends_at == 30) == (trial.state == "COMPLETE")
        assert trial.reports == dict.fromkeys(range(PERIOD, ends_at + 1, PERIOD), trial.value)
    assert bool(pruned) == (kind == "median")
