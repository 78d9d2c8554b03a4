"""What decides the next trial: one Optuna study in a journal file, asked and told by Ray Tune.

The journal is the searcher's whole state: a trial in it that has not ended, and that nobody runs
any more, is handed out again, under its number and with its values.
"""

import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import Trial, TrialState, create_trial
from ray.tune.search import Searcher

from hbpr.tracking.records import Parent, TrialRecord
from tune.search.draw import draw_allowed
from tune.search.fixed import PointSampler
from tune.search.samplers import Algorithm, Samplers
from tune.settings.goals import Goals
from tune.space import Space
from tune.storage.beginning import Beginning
from tune.storage.journal import DriverJournal, DriverStorage
from tune.storage.names import JOURNAL
from tune.storage.trials import (
    EARLIER,
    MEASURED,
    METRICS,
    PARENT,
    SECONDS,
    best_report,
    measured_of,
    parent_of,
    record_of,
    reports_of,
)
from tune.trial import messages
from tune.trial.messages import epoch_of, seconds_of, state_of, validation_of

logger = logging.getLogger(__name__)

#: Attribute of the Optuna study: what it starts from, so that a resumed study needs no other one.
_BEGINNING = "beginning"


@dataclass
class _Running:
    """A trial that somebody runs, and what it has reported.

    Attributes:
        trial: Optuna's.
        reports: Epoch -> value of the first objective, of earlier sittings too.
        measured: Epoch -> all that is compared, where that is more.
        seconds: Of training and evaluation, in this sitting.
        best_epoch: The epoch of `metrics`; 0: none yet.
        metrics: All validation metrics of the best epoch.
    """

    trial: Trial
    reports: dict[int, float]
    measured: dict[int, dict[str, float]]
    seconds: float = 0.0
    best_epoch: int = 0
    metrics: dict[str, float] | None = None

    @property
    def best(self) -> tuple[int, float]:
        """The first epoch with the best value, and that value; there must be a report."""
        value = best_report(self.reports.values())
        return min((e for e, each in self.reports.items() if each == value), default=0), value


class OptunaSearcher(Searcher):
    """Suggests ``{"trial": number, "values": {dotted key: value}}`` and learns from results.

    Results need an epoch and the metrics, see `tune.trial.messages`. A trial ends COMPLETE with its
    best value if its last result says that it finished, FAIL if it raised, said why it failed,
    reported NaN or nothing, and else PRUNED: it was stopped. Of several objectives it is told the
    values at the epoch that is best by the first; how far these are outside of limits, it is told
    in any case.
    """

    def __init__(
        self,
        space: Space,
        folder: Path,
        *,
        goals: Goals,
        algorithm: Algorithm = "tpe",
        seed: int = 0,
        num_trials: int | None = None,
        beginning: Beginning | None = None,
    ) -> None:
        """Open the journal, and find the trials that nobody runs any more.

        Args:
            space: What `tune.space.check.check_space` returned.
            folder: The study's folder, whose name is the study's; a journal in it is continued.
            goals: What trials are compared by.
            algorithm: What decides, see `Samplers`.
            seed: Seed of the suggestions.
            num_trials: Trials in all, those of an existing journal included; a grid has as many as
                points.
            beginning: Points to start with and trials to learn from; a journal that exists keeps
                its own.

        Raises:
            ValueError: `num_trials` is missing and the algorithm is not ``grid``.
            SpaceError: The algorithm is ``grid`` and the space has no finite list of points.
        """
        self._key = goals.objectives[0].metric
        super().__init__(metric=self._key, mode="max")
        if algorithm == "grid":
            num_trials = len(space.grid())
        if num_trials is None:
            raise ValueError(f"num_trials is needed for {algorithm}")
        self._space, self._goals, self._num_trials = space, goals, num_trials
        self._samplers = Samplers(
            algorithm, space, seed=seed, num_trials=num_trials, plain=goals.plain
        )
        self._running: dict[str, _Running] = {}
        self._journal = DriverJournal(folder / JOURNAL)
        storage = DriverStorage(self._journal)
        known = storage.get_all_studies()  # at most one; its folder may have another name by now
        self._study: Any = optuna.create_study(
            storage=storage,
            study_name=known[0].study_name if known else folder.name,
            directions=[
                "maximize" if each.mode == "max" else "minimize" for each in goals.objectives
            ],
            load_if_exists=True,
        )
        if not known:  # what optuna-dashboard writes on its axes
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self._study.set_metric_names([each.metric for each in goals.objectives])
        self._beginning = self._begin(beginning or Beginning())
        trials = self._own_trials()
        self._n_made = len(trials)
        #: Number and Optuna's id of each trial that was made and that nobody runs.
        self._abandoned = [
            (number, frozen._trial_id)
            for number, frozen in enumerate(trials)
            if not frozen.state.is_finished()
        ]

    def _begin(self, given: Beginning) -> Beginning:
        """Write down what the study starts from, or read what it started from."""
        study = self._study
        if given != Beginning() and _BEGINNING not in study.user_attrs and not self._own_trials():
            study.set_user_attr(_BEGINNING, given.as_json())
        if _BEGINNING not in study.user_attrs:
            return Beginning()
        beginning = Beginning.from_json(study.user_attrs[_BEGINNING])
        distributions = {d.key: d.domain.distribution() for d in self._space.dimensions}
        there = len(study.get_trials(deepcopy=False)) - len(self._own_trials())
        for earlier in beginning.earlier[there:]:
            params = self._space.encode(earlier.values)
            study.add_trial(
                create_trial(
                    params=params,
                    distributions={key: distributions[key] for key in params},
                    value=earlier.value,
                    user_attrs={EARLIER: earlier.study},
                )
            )
        return beginning

    def _own_trials(self) -> list[Any]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if EARLIER not in trial.user_attrs]

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's metric and mode where they are ours; constants in `config` are kept."""
        return metric in (None, self._key) and mode in (None, "max")

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial, or ``Searcher.FINISHED`` after the last one.

        Trials that were running when an earlier driver ended come first, and copies that
        `add_copy` made, under their own numbers.
        """
        study = self._study
        if self._abandoned:
            number, made = self._abandoned.pop(0)
            study.sampler = PointSampler({})
            trial = Trial(study, made)
        elif self._n_made >= self._num_trials:
            return Searcher.FINISHED
        else:
            number = self._n_made
            study.sampler = PointSampler({})
            trial = study.ask()
            self._n_made += 1
        frozen = study._storage.get_trial(trial._trial_id)
        parent = parent_of(frozen)
        with self._journal.together():
            if parent is None:
                fixed = {**self._space.encode(self._beginning.point(number)), **frozen.params}
                drawn = draw_allowed(
                    self._space,
                    study,
                    frozen,
                    self._samplers.of(number),
                    fixed,
                    draws=self._samplers.draws,
                    seed=self._samplers.seed_of(number),
                )
                study.sampler = PointSampler(drawn)
            values = self._space.suggest(trial)
        self._running[trial_id] = _Running(
            trial, reports_of(frozen), measured_of(frozen.user_attrs)
        )
        suggestion = {messages.NUMBER: number, messages.VALUES: values}
        return suggestion if parent is None else suggestion | {messages.PARENT: parent._asdict()}

    def trials(self) -> list[TrialRecord]:
        """Return the study's own trials by number."""
        return [
            record_of(number, trial, self._space) for number, trial in enumerate(self._own_trials())
        ]

    def add_copy(self, values: Mapping[str, Any], parent: Parent) -> int:
        """Make a trial that goes on from another's weights; it is suggested next.

        It is written in one line: a killed driver leaves it whole or not at all.

        Returns:
            Its number.
        """
        study, params = self._study, self._space.encode(values)
        distributions = {d.key: d.domain.distribution() for d in self._space.dimensions}
        copy = create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions={key: distributions[key] for key in params},
            user_attrs={PARENT: parent._asdict()},
        )
        made = study._storage.create_new_trial(study._study_id, template_trial=copy)
        number = self._n_made
        self._n_made += 1
        self._abandoned.append((number, made))
        return number

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note one report; an epoch that a restarted trial repeats counts once."""
        running, epoch = self._running.get(trial_id), epoch_of(result)
        known = all(name in result for name in self._goals.metrics)
        if running is None or not known or epoch is None:
            return
        value = float(result[self._key])
        if epoch not in running.reports:
            running.reports[epoch] = value
            if not self._goals.plain:
                measured = {name: float(result[name]) for name in self._goals.metrics}
                running.measured[epoch] = measured
                running.trial.set_user_attr(f"{MEASURED}{epoch}", measured)
            if not self._goals.several:
                running.trial.report(value, step=epoch)
            running.seconds += seconds_of(result)
        if running.best == (epoch, value):  # also one that a restarted trial repeats
            running.best_epoch, running.metrics = epoch, validation_of(result)

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial, once: later calls for the same trial are ignored.

        Args:
            trial_id: Id of the Ray trial.
            result: Its last result; Ray gives none where it raised or was stopped in a pause.
            error: The trial raised, and is not tried again.
        """
        result = result or {}
        self.on_trial_result(trial_id, result)  # Ray skips it for the result that ends a trial
        running = self._running.pop(trial_id, None)
        if running is None:
            logger.debug("trial %s has ended before, or is not of this study", trial_id)
            return
        self._keep_attributes(running)
        reports, measured = running.reports, running.measured
        values = [*reports.values(), *(v for each in measured.values() for v in each.values())]
        state = state_of(result, crashed=error)
        if state == "FAIL" or not values or any(map(math.isnan, values)):
            self._study.tell(running.trial, state=TrialState.FAIL)
        else:
            best_epoch, best = running.best
            at_best = measured.get(best_epoch, {})
            for name, excess in self._goals.excesses(at_best).items():
                running.trial.set_constraint(name, excess)
            if state == "COMPLETE":
                objectives = self._goals.objectives
                told = [at_best[each.metric] for each in objectives] if at_best else best
                self._study.tell(running.trial, told)
            else:
                self._study.tell(running.trial, state=TrialState.PRUNED)
        self._journal.sync()

    def _keep_attributes(self, running: _Running) -> None:
        if running.seconds:
            running.trial.set_user_attr(SECONDS, round(running.seconds, 6))
        if running.metrics is not None and running.best_epoch == running.best[0]:
            running.trial.set_user_attr(METRICS, running.metrics)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: Tune asks for a snapshot at its first step and its end, whatever is set.

        Without this method it warns. The journal is what a study is resumed from.
        """
