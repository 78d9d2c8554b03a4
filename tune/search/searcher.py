"""What decides the next trial: one Optuna study in a journal file, asked and told by Ray Tune.

The journal is the searcher's whole state. Ray's snapshots only add which Ray trials existed when
they were taken, so that a trial of the journal that a restored Ray does not know is handed out
again, under its number and with its values.
"""

import json
import logging
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from ray.tune.search import Searcher

from hbpr.names import EVAL_S, TRAIN_S
from hbpr.tracking.records import Parent, TrialRecord
from tune.search.draw import draw_allowed
from tune.search.fixed import PointSampler
from tune.search.samplers import Algorithm, Samplers
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.storage.beginning import Beginning
from tune.storage.journal import (
    EARLIER,
    JOURNAL,
    MEASURED,
    PARENT,
    RAY_TRIAL,
    SECONDS,
    DriverJournal,
    DriverStorage,
    best_report,
    journal_trial,
    measured_of,
    parent_of,
    reports_of,
)

logger = logging.getLogger(__name__)

#: Attribute of the Optuna study: what it starts from, so that a resumed study needs no other one.
_BEGINNING = "beginning"


class OptunaSearcher(Searcher):
    """Suggests ``{"trial": number, "values": {dotted key: value}}`` and learns from results.

    Results need ``epoch`` and the metrics. A trial ends COMPLETE with its best value if its last
    result says ``finished``, FAIL if it raised, said ``failed``, reported NaN or nothing, and else
    PRUNED: it was stopped. Of several objectives it is told the values at the epoch that is best
    by the first; how far these are outside of limits, it is told in any case.

    Plain values and no open files until the first trial, so Ray can pickle it; only the process
    that runs the study may use it.
    """

    def __init__(
        self,
        space: Space,
        *,
        folder: str | Path,
        study_id: str,
        metric: str,
        mode: Literal["max", "min"] = "max",
        goals: Goals | None = None,
        algorithm: Algorithm = "tpe",
        seed: int = 0,
        num_trials: int | None = None,
        beginning: Beginning | None = None,
    ) -> None:
        """Prepare a search; nothing is opened yet.

        Args:
            space: What `tune.space.check.check_space` returned.
            folder: The study's folder; an existing journal in it is continued.
            study_id: Name of the Optuna study.
            metric: Key of a result that is compared.
            mode: ``max`` or ``min``.
            goals: What is compared, where it is more than `metric`, which is the first of it.
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
        super().__init__(metric=metric, mode=mode)
        if algorithm == "grid":
            num_trials = len(space.grid())
        if num_trials is None:
            raise ValueError(f"num_trials is needed for {algorithm}")
        self._space = space
        self._key, self._order = metric, mode
        self._goals = goals or Goals((Objective(metric, mode),))
        self._path = Path(folder) / JOURNAL
        self._study_id = study_id
        self._num_trials = num_trials
        self._new_samplers = partial(
            Samplers,
            algorithm,
            space,
            seed=seed,
            num_trials=num_trials,
            plain=self._goals.plain,
        )
        self._given = beginning or Beginning()
        self._known: set[str] = set()
        self._close()

    def _close(self) -> None:
        self._study: Any = None
        self._journal: DriverJournal | None = None
        self._samplers: Samplers | None = None
        self._beginning = Beginning()
        self._n_made = 0
        #: Number and Optuna's id of each trial that was made and that nobody runs.
        self._abandoned: list[tuple[int, int]] = []
        self._running: dict[str, Trial] = {}
        self._reports: dict[str, dict[int, float]] = {}
        self._measured: dict[str, dict[int, dict[str, float]]] = {}
        self._seconds: dict[str, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("_study", "_journal", "_samplers"):
            state[name] = None
        empty: dict[str, Any] = {"_running": {}, "_reports": {}, "_measured": {}, "_seconds": {}}
        return {**state, "_n_made": 0, "_abandoned": [], **empty}

    def _open(self) -> Any:
        """Open the journal, and find the trials that nobody runs any more."""
        if self._study is not None:
            return self._study
        self._journal = DriverJournal(self._path)
        self._samplers = self._new_samplers()
        self._study = optuna.create_study(
            storage=DriverStorage(self._journal),
            study_name=self._study_id,
            directions=[
                "maximize" if each.mode == "max" else "minimize" for each in self._goals.objectives
            ],
            load_if_exists=True,
        )
        self._begin()
        trials = self._own_trials()
        self._n_made = len(trials)
        for number, frozen in enumerate(trials):
            if frozen.state.is_finished():
                continue
            ray_trial = frozen.user_attrs.get(RAY_TRIAL)
            if ray_trial in self._known:
                self._running[ray_trial] = Trial(self._study, frozen._trial_id)
                self._recall(ray_trial, frozen)
            else:
                self._abandoned.append((number, frozen._trial_id))
        return self._study

    def _recall(self, ray_trial: str, frozen: FrozenTrial) -> None:
        self._reports[ray_trial] = reports_of(frozen)
        self._measured[ray_trial] = measured_of(frozen.user_attrs)

    def _begin(self) -> None:
        """Write down what the study starts from, or read what it started from."""
        study = self._study
        given = self._given != Beginning() and _BEGINNING not in study.user_attrs
        if given and not self._own_trials():
            study.set_user_attr(_BEGINNING, self._given.as_json())
        if _BEGINNING in study.user_attrs:
            self._beginning = Beginning.from_json(study.user_attrs[_BEGINNING])
        distributions = {d.key: d.domain.distribution() for d in self._space.dimensions}
        there = len(study.get_trials(deepcopy=False)) - len(self._own_trials())
        for earlier in self._beginning.earlier[there:]:
            params = self._space.encode(earlier.values)
            study.add_trial(
                create_trial(
                    params=params,
                    distributions={key: distributions[key] for key in params},
                    value=earlier.value,
                    user_attrs={EARLIER: earlier.study},
                )
            )

    def _own_trials(self) -> list[Any]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if EARLIER not in trial.user_attrs]

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's metric and mode where they are ours; constants in `config` are kept."""
        return metric in (None, self._key) and mode in (None, self._order)

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial, or ``Searcher.FINISHED`` after the last one.

        Trials that were running when an earlier driver ended come first, and copies that
        `add_copy` made, under their own numbers.
        """
        study = self._open()
        assert self._samplers is not None
        assert self._journal is not None
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
            trial.set_user_attr(RAY_TRIAL, trial_id)
        self._running[trial_id] = trial
        self._recall(trial_id, frozen)
        self._seconds[trial_id] = 0.0
        self._known.add(trial_id)
        suggestion = {"trial": number, "values": values}
        return suggestion if parent is None else suggestion | {PARENT: parent._asdict()}

    def trials(self) -> list[TrialRecord]:
        """Return the study's own trials by number."""
        self._open()
        return [
            journal_trial(number, trial, self._space, self._order)
            for number, trial in enumerate(self._own_trials())
        ]

    def add_copy(self, values: Mapping[str, Any], parent: Parent) -> int:
        """Make a trial that goes on from another's weights; it is suggested next.

        It is written in one line: a killed driver leaves it whole or not at all.

        Returns:
            Its number.
        """
        study, params = self._open(), self._space.encode(values)
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
        self._open()
        trial = self._running.get(trial_id)
        known = all(name in result for name in self._goals.metrics)
        if trial is None or not known or "epoch" not in result:
            return
        epoch, value = int(result["epoch"]), float(result[self._key])
        if epoch not in self._reports[trial_id]:
            self._reports[trial_id][epoch] = value
            if not self._goals.plain:
                measured = {name: float(result[name]) for name in self._goals.metrics}
                self._measured[trial_id][epoch] = measured
                trial.set_user_attr(f"{MEASURED}{epoch}", measured)
            if not self._goals.several:
                trial.report(value, step=epoch)
            spent = result.get(TRAIN_S, 0.0) + result.get(EVAL_S, 0.0)
            self._seconds[trial_id] = self._seconds.get(trial_id, 0.0) + spent

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """End a trial, once: later calls for the same trial are ignored.

        Args:
            trial_id: Id of the Ray trial.
            result: Its last result; Ray gives none where it raised or was stopped in a pause.
            error: The trial raised, and is not tried again.
        """
        study, result = self._open(), result or {}
        self.on_trial_result(trial_id, result)  # Ray skips it for the result that ends a trial
        trial = self._running.pop(trial_id, None)
        if trial is None:
            logger.debug("trial %s has ended before, or is not of this study", trial_id)
            return
        reports, measured = self._reports.pop(trial_id), self._measured.pop(trial_id)
        values = [*reports.values(), *(v for each in measured.values() for v in each.values())]
        seconds = self._seconds.pop(trial_id, 0.0)
        if seconds:
            trial.set_user_attr(SECONDS, round(seconds, 6))
        if error or result.get("failed") or not values or any(map(math.isnan, values)):
            study.tell(trial, state=TrialState.FAIL)
        else:
            best = best_report(list(reports.values()), self._order)
            at_best = measured.get(min(e for e, value in reports.items() if value == best), {})
            for name, excess in self._goals.excesses(at_best).items():
                trial.set_constraint(name, excess)
            told = [at_best[each.metric] for each in self._goals.objectives] if at_best else best
            if result.get("finished"):
                study.tell(trial, told)
            else:
                study.tell(trial, state=TrialState.PRUNED)
        if self._journal is not None:
            self._journal.sync()

    def save(self, checkpoint_path: str) -> None:
        """Write which Ray trials exist, and bring the journal to the disk."""
        if self._journal is not None:
            self._journal.sync()
        Path(checkpoint_path).write_text(json.dumps({"ray_trials": sorted(self._known)}))

    def restore(self, checkpoint_path: str) -> None:
        """Continue beside a restored Ray, which knows the trials of this snapshot only."""
        self._close()
        self._known = set(json.loads(Path(checkpoint_path).read_text())["ray_trials"])
