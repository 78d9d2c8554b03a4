"""Populations on a fake clock: no Ray, and trials whose weights are one number."""

import itertools
import random
from functools import partial
from types import SimpleNamespace

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from hbpr.settings.models import TrialSettings
from tune.schedulers import PbtSettings, SchedulerContext
from tune.search.searcher import OptunaSearcher
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space
from tune.storage.checkpoints import checkpoint_at, copy_checkpoint, trial_folder
from tune.storage.trials import read_journal

METRIC = "val/ndcg_at_10"
SPACE = check_space(
    Space.parse(
        {
            "model.n_latent": [8, 16],
            "optimizer.lr": {"low": 0.01, "high": 1.0, "log": True},
        }
    ),
    TrialSettings(),
)
N_ITER, PERIOD, INTERVAL, SIZE = 20, 2, 4, 8


class KilledError(Exception):
    """The driver is gone."""


class Driver:
    """Tune's loop, as far as a population sees it; a weight grows by lr * n_latent an epoch."""

    def __init__(self, folder, slots, *, lives=10**9, seed=0):
        self.folder, self.lives = folder, lives
        before = read_journal(folder, SPACE)
        inner = OptunaSearcher(
            SPACE,
            folder,
            goals=Goals((Objective(METRIC, "max"),)),
            algorithm="random",
            num_trials=SIZE,
        )
        context = SchedulerContext(
            metric=METRIC,
            max_epochs=N_ITER,
            n_trials=SIZE,
            before=before,
            searcher=inner,
            space=SPACE,
            slots=lambda: slots,
            copy_checkpoint=partial(copy_checkpoint, folder / "checkpoints"),
        )
        rule = PbtSettings(interval=INTERVAL, quantile=0.25)
        self.searcher, self.scheduler = rule.make(context)
        self.slots = slots
        self.trials, self.state, self.ids = [], {}, itertools.count(len(before))
        self.order = random.Random(seed)
        self.most_running = 0

    # What the scheduler asks of the controller.

    def get_trials(self):
        return self.trials

    def pause_trial(self, trial, should_checkpoint):
        assert not should_checkpoint
        assert trial.status == Trial.RUNNING
        trial.status = Trial.PAUSED

    def stop_trial(self, trial):
        assert trial.status == Trial.PAUSED
        self.scheduler.on_trial_remove(self, trial)
        self.searcher.on_trial_complete(trial.trial_id)
        trial.status = Trial.TERMINATED

    # The loop.

    def run(self):
        while True:
            if not any(trial.status == Trial.PENDING for trial in self.trials):
                trial_id = f"ray-{next(self.ids)}-{id(self)}"
                suggestion = self.searcher.suggest(trial_id)
                if suggestion == Searcher.FINISHED:
                    return self
                if suggestion is not None:
                    trial = SimpleNamespace(
                        trial_id=trial_id, config=suggestion, status=Trial.PENDING
                    )
                    self.trials.append(trial)
                    self.scheduler.on_trial_add(self, trial)
            chosen = self.scheduler.choose_trial_to_run(self)
            running = [trial for trial in self.trials if trial.status == Trial.RUNNING]
            if chosen is not None and len(running) < self.slots:
                chosen.status = Trial.RUNNING
                self._start(chosen)
                running.append(chosen)
            self.most_running = max(self.most_running, len(running))
            if running:
                self._step(self.order.choice(running))

    def _folder(self, trial):
        return trial_folder(self.folder / "checkpoints", trial.config["trial"])

    def _start(self, trial):
        saved = sorted(self._folder(trial).glob("epoch-*/weight"))
        epoch, weight = 0, 0.0
        if saved:
            epoch, weight = int(saved[-1].parent.name[6:]), float(saved[-1].read_text())
        parent = trial.config.get("parent", {}).get("epoch")
        again = epoch > 0 and epoch % INTERVAL == 0 and epoch != parent
        self.state[trial.trial_id] = [epoch, weight, again]

    def _step(self, trial):
        self.lives -= 1
        if self.lives == 0:
            raise KilledError
        state, values = self.state[trial.trial_id], trial.config["values"]
        if not state[2]:
            state[0] += PERIOD
            state[1] += PERIOD * values["optimizer.lr"] * values["model.n_latent"]
            if state[0] % INTERVAL == 0:
                folder = checkpoint_at(self._folder(trial), state[0])
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "weight").write_text(repr(state[1]))
        state[2] = False
        done = state[0] >= N_ITER
        result = {"epoch": state[0], METRIC: state[1], "finished": done, "done": done}
        if done:
            self.scheduler.on_trial_complete(self, trial, result)
            self.searcher.on_trial_complete(trial.trial_id, result)
            trial.status = Trial.TERMINATED
            return
        decision = self.scheduler.on_trial_result(self, trial, result)
        assert (decision == TrialScheduler.NOOP) == (trial.status == Trial.PAUSED)
        self.searcher.on_trial_result(trial.trial_id, result)


def told(folder):
    return [(t.number, t.values, t.state, t.reports, t.parent) for t in read_journal(folder, SPACE)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    Driver(folder, slots=3).run()
    return told(folder)


def test_what_a_population_comes_to(undisturbed):
    assert len(undisturbed) == SIZE + 4 * 2
    assert [parent for *_, parent in undisturbed[:SIZE]] == [None] * SIZE
    epochs = [parent.epoch for *_, parent in undisturbed[SIZE:]]
    assert epochs == [4, 4, 8, 8, 12, 12, 16, 16]
    states = [state for _, _, state, *_ in undisturbed]
    assert (states.count("COMPLETE"), states.count("PRUNED")) == (SIZE, 8)
    for number, _values, state, reports, parent in undisturbed:
        first = PERIOD + (parent.epoch if parent else 0)
        last = N_ITER if state == "COMPLETE" else max(reports)
        assert sorted(reports) == list(range(first, last + 1, PERIOD)), number
    best = max(reports.get(N_ITER, 0.0) for *_, reports, _ in undisturbed)
    drawn = [values["optimizer.lr"] * values["model.n_latent"] for _, values, *_ in undisturbed]
    assert best > N_ITER * max(drawn[:SIZE])  # no first member could have reached it


@pytest.mark.parametrize("slots", [1, 2, 5, 8, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_neither_workers_nor_their_order_change_it(tmp_path, undisturbed, slots, seed):
    driver = Driver(tmp_path, slots=slots, seed=seed).run()
    assert told(tmp_path) == undisturbed
    assert driver.most_running <= slots


@pytest.mark.parametrize("seed", range(6))
def test_a_driver_that_is_killed_again_and_again(tmp_path, undisturbed, seed):
    generator, n_killed = random.Random(seed), 0
    while True:
        try:
            Driver(tmp_path, slots=3, lives=generator.randint(20, 60), seed=seed).run()
        except KilledError:
            n_killed += 1
        else:
            break
        assert n_killed < 50
    assert n_killed >= 1
    assert told(tmp_path) == undisturbed


@pytest.mark.parametrize("method", ["_begin", "add_copy", "stop_trial"])
@pytest.mark.parametrize("n_done", range(0, 8, 3))
def test_a_driver_that_is_killed_while_it_decides(tmp_path, undisturbed, method, n_done):
    driver, calls = Driver(tmp_path, slots=3), []
    owner = {"_begin": driver.scheduler, "add_copy": driver.searcher.inner}.get(method, driver)
    whole = getattr(owner, method)

    def killed(*arguments):
        if len(calls) == n_done:
            raise KilledError
        calls.append(arguments)
        return whole(*arguments)

    setattr(owner, method, killed)
    with pytest.raises(KilledError):
        driver.run()
    Driver(tmp_path, slots=3).run()
    assert told(tmp_path) == undisturbed
