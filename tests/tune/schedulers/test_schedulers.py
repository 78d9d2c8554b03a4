"""Schedulers on a fake clock, and each of them once in a real Ray."""

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
from ray import tune as ray_tune
from ray.tune.schedulers import TrialScheduler

from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import TrialRecord
from tune.schedulers import SCHEDULERS, HyperbandSettings, SchedulerContext
from tune.schedulers.ray_halving import bracket_of
from tune.search.searcher import OptunaSearcher
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space
from tune.storage.trials import read_journal

METRIC = "val/ndcg_at_10"
PERIOD = 5


def made(kind, *, max_epochs, n_trials, given=False, before=(), **fields):
    """The scheduler of a kind, in whose file a grace period may stand or not."""
    class_ = SCHEDULERS.class_of({"kind": kind})
    own = {name: value for name, value in fields.items() if name in class_.model_fields}
    context = SchedulerContext(
        metric=METRIC, max_epochs=max_epochs, n_trials=n_trials, given=given, before=before
    )
    return class_(**own).make(context)[1]


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

    def __init__(self, kind, *, max_epochs=45, num_trials=3, given=False, before=(), **options):
        self.scheduler = made(
            kind,
            max_epochs=max_epochs,
            n_trials=num_trials,
            given=given,
            before=before,
            **{"grace_period": 5, **options},
        )
        self.max_epochs, self.first = max_epochs, len(before)
        self.lived = {}

    def run(self, values, *, shape=lambda value, epoch: value):
        """Return the epoch at which each trial ended; all start at once, in the given order."""
        first = self.first + len(self.lived)
        trials = {FakeTrial(first + i): value for i, value in enumerate(values)}
        for trial in trials:
            self.scheduler.on_trial_add(None, trial)
            self.lived[trial] = 0
        running = dict(trials)
        for epoch in range(PERIOD, self.max_epochs + 1, PERIOD):
            for trial, value in list(running.items()):
                result = {"epoch": epoch, METRIC: shape(value, epoch)}
                decision = self.scheduler.on_trial_result(None, trial, result)
                assert decision != TrialScheduler.PAUSE
                self.lived[trial] = epoch
                if decision == TrialScheduler.STOP or epoch == self.max_epochs:
                    self.scheduler.on_trial_complete(None, trial, result)
                    del running[trial]
        return [self.lived[trial] for trial in trials]


class TestFakeClock:
    def test_asha_keeps_a_third_at_every_rung(self):
        # best first: every later one meets a full rung; rungs are at 5, 15 and 45
        lived = Clock("asha", reduction_factor=3).run([0.9 - 0.1 * i for i in range(9)])
        assert lived[0] == 45
        assert lived.count(5) >= 5
        assert lived == sorted(lived, reverse=True)

    def test_of_many_trials_the_first_is_no_exception(self):
        worst_first = [0.1 * i for i in range(1, 10)]
        few = Clock("asha", reduction_factor=3, num_trials=26).run(worst_first)
        many = Clock("asha", reduction_factor=3, num_trials=27).run(worst_first)
        given = Clock("asha", reduction_factor=3, num_trials=27, given=True).run(worst_first)
        assert few == given == [45] * 9
        assert many == [5, 5, *[45] * 7]

    def test_asha_lets_the_grace_period_pass(self):
        lived = Clock("asha", grace_period=20, reduction_factor=2).run([0.9, 0.8, 0.7, 0.1, 0.05])
        assert min(lived) == 20

    def test_asha_acts_at_the_first_report_after_a_rung(self):
        lived = Clock("asha", grace_period=7, reduction_factor=3).run([0.9, 0.1, 0.05, 0.04])
        assert lived[1:] == [10, 10, 10]

    def test_asha_never_stops_a_single_trial(self):
        assert Clock("asha").run([0.1]) == [45]

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

    def test_a_grace_period_beyond_the_last_epoch_stops_nothing_early(self):
        assert Clock("asha", max_epochs=10, grace_period=50).run([0.9, 0.1, 0.0]) == [10, 10, 10]

    @pytest.mark.parametrize("kind", ["asha", "hyperband", "median"])
    def test_a_resumed_study_compares_with_trials_that_ended(self, kind):
        good = dict.fromkeys(range(5, 50, 5), 0.8)
        before = [TrialRecord(i, {}, "COMPLETE", 0.8, good, None) for i in range(4)]
        before += [TrialRecord(i, {}, "FAIL", None, {}, None) for i in (4, 5)]
        assert Clock(kind).run([0.1]) == [45]
        assert Clock(kind, before=before).run([0.1]) == [5]

    def test_hyperband_stops_later_in_later_brackets(self):
        values = [0.99 - 0.01 * i for i in range(30)]
        lived = Clock("hyperband", reduction_factor=3).run(values)
        # brackets halve first at 5, 15 and 45 epochs; the best trial of each goes to the end
        for bracket, first in enumerate((5, 15, 45)):
            own = [e for i, e in enumerate(lived) if bracket_of(i, 3, 3.0) == bracket]
            assert own[0] == 45
            assert min(own) == first

    @pytest.mark.parametrize(("max_epochs", "factor"), [(243, 3.0), (1000, 10.0)])
    def test_a_last_bracket_without_a_rung_stops_nothing(self, max_epochs, factor):
        rule = HyperbandSettings(grace_period=1, reduction_factor=factor)
        context = SchedulerContext(metric=METRIC, max_epochs=max_epochs, n_trials=400)
        _, scheduler = rule.make(context)
        last = len(scheduler.rule.rules[None]._brackets) - 1
        number = next(n for n in range(400) if bracket_of(n, last + 1, factor) == last)
        trial = FakeTrial(number)
        scheduler.on_trial_add(None, trial)
        told = [scheduler.on_trial_result(None, trial, {"epoch": e, METRIC: 0.1}) for e in (1, 5)]
        assert told == [TrialScheduler.CONTINUE] * 2

    def test_shares_of_brackets_are_hyperbands(self):
        brackets = [bracket_of(number, 3, 3.0) for number in range(110)]
        assert [brackets.count(s) for s in range(3)] == [60, 30, 20]
        assert {bracket_of(number, 1, 3.0) for number in range(9)} == {0}

    def test_global_random_numbers_are_left_alone(self):
        state = np.random.get_state()[1].tolist()  # noqa: NPY002
        Clock("asha").run([0.1, 0.2])
        Clock("hyperband").run([0.1, 0.2])
        assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


class Driver:
    """A study's driver without Ray: what the journal knows survives it, the scheduler does not."""

    EPOCHS = 45

    def __init__(self, kind, curves):
        self.curves = curves
        self.kind = kind
        self.trials = {
            number: TrialRecord(number, {}, "RUNNING", None, {}, None)
            for number in range(len(curves))
        }
        self.start({})

    def start(self, checkpoints):
        """Begin a sitting, in which every unfinished trial goes on from its checkpoint."""
        self.scheduler = made(
            self.kind,
            max_epochs=self.EPOCHS,
            n_trials=len(self.trials),
            given=True,
            before=list(self.trials.values()),
            grace_period=5,
            reduction_factor=3.0,
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
            if epoch < self.EPOCHS:
                decision = self.scheduler.on_trial_result(None, fake, result)
                stopped = decision == TrialScheduler.STOP
            if stopped or epoch == self.EPOCHS:
                self.scheduler.on_trial_complete(None, fake, result)
                state = "PRUNED" if stopped else "COMPLETE"
                self.trials[number] = replace(trial, state=state)

    def rungs(self):
        return [
            [(milestone, dict(sorted(told.items()))) for milestone, told in bracket._rungs]
            for bracket in self.scheduler.rule.rules[None]._brackets
        ]


class TestResumed:
    """The scheduler of a resumed study knows what an undisturbed one does, and nothing twice."""

    CURVES = (0.5, 0.9, 0.3, 0.8, 0.6, 0.7, 0.2, 0.85, 0.4)

    @pytest.mark.parametrize("kind", ["asha", "hyperband"])
    @pytest.mark.parametrize("back", [0, 5, 15])
    def test_rungs(self, kind, back):
        undisturbed, resumed = Driver(kind, self.CURVES), Driver(kind, self.CURVES)
        for _ in range(9):
            undisturbed.tick()
        for _ in range(4):
            resumed.tick()
        before = resumed.rungs()
        resumed.start({number: max(0, at - back) for number, at in resumed.at.items()})
        assert resumed.rungs() == before
        for _ in range(9):
            resumed.tick()
        assert resumed.rungs() == undisturbed.rungs()
        assert resumed.trials == undisturbed.trials

    def test_a_late_report_enters_no_rung_below_the_checkpoint(self):
        driver = Driver("asha", self.CURVES[:1])
        for _ in range(2):
            driver.tick()
        driver.start({0: 10})
        for _ in range(2):
            driver.tick()
        ((_, (_, at_15), (_, at_5)),) = driver.rungs()
        assert at_5 == {"journal-0": pytest.approx(0.5 * 1.05)}
        assert at_15 == {"journal-0": pytest.approx(0.5 * 1.15)}

    def test_the_median_rule_hears_a_report_once(self):
        driver = Driver("median", self.CURVES)
        for _ in range(3):
            driver.tick()
        known = {
            t.number: [r["epoch"] for r in rs]
            for t, rs in driver.scheduler.rule.rules[None]._results.items()
        }
        driver.start({number: max(0, at - 10) for number, at in driver.at.items()})
        driver.tick()
        driver.tick()
        again = {
            t.number: [r["epoch"] for r in rs]
            for t, rs in driver.scheduler.rule.rules[None]._results.items()
        }
        assert again == known

    def test_a_trial_that_a_fault_started_again(self):
        scheduler = Driver("asha", (0.5,)).scheduler
        trial = FakeTrial(0)
        for epoch, value in ((5, 0.5), (10, 0.6), (5, 0.5), (10, 0.6)):
            scheduler.on_trial_add(None, trial)  # Ray adds a trial again after a crash
            scheduler.on_trial_result(None, trial, {"epoch": epoch, METRIC: value})
        (bracket,) = scheduler.rule.rules[None]._brackets
        assert [told for _, told in bracket._rungs] == [{}, {}, {"journal-0": 0.5}]


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
@pytest.mark.parametrize("kind", ["asha", "median", "hyperband"])
def test_in_ray(tmp_path, kind):
    heights = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.01]
    space = check_space(Space.parse({"optimizer.lr": heights}), TrialSettings())
    searcher = OptunaSearcher(
        space, tmp_path / "study", goals=Goals((Objective(METRIC, "max"),)), algorithm="grid"
    )
    scheduler = made(
        kind,
        max_epochs=30,
        n_trials=len(heights),
        given=True,
        grace_period=5,
        reduction_factor=3.0,
    )
    ray_tune.run(
        Curve,
        num_samples=len(heights),
        search_alg=searcher,
        scheduler=scheduler,
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
    assert pruned
