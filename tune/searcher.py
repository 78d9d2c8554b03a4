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
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.trial import Trial, TrialState
from ray.tune.search import Searcher

from tune.journal import JOURNAL, RAY_TRIAL, DriverJournal, best_report
from tune.samplers import Algorithm, Samplers
from tune.space import Space

logger = logging.getLogger(__name__)


class OptunaSearcher(Searcher):
    """Suggests ``{"trial": number, "values": {dotted key: value}}`` and learns from results.

    Results need ``epoch`` and the metric. A trial ends COMPLETE with its best value if its last
    result says ``finished``, FAIL if it raised, said ``failed``, reported NaN or nothing, and else
    PRUNED: a scheduler stopped it.

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
        mode: str = "max",
        algorithm: Algorithm = "tpe",
        seed: int = 0,
        num_trials: int | None = None,
    ) -> None:
        """Prepare a search; nothing is opened yet.

        Args:
            space: What `Space.check` returned.
            folder: The study's folder; an existing journal in it is continued.
            study_id: Name of the Optuna study.
            metric: Key of a result that is compared.
            mode: ``max`` or ``min``.
            algorithm: ``tpe``, ``random`` or ``grid``.
            seed: Seed of the suggestions.
            num_trials: Trials in all, those of an existing journal included; a grid has as many as
                points.

        Raises:
            ValueError: `num_trials` is missing and the algorithm is not ``grid``.
            SpaceError: The algorithm is ``grid`` and the space has no finite list of points.
        """
        super().__init__(metric=metric, mode=mode)
        points = space.grid() if algorithm == "grid" else []
        if algorithm == "grid":
            num_trials = len(points)
        if num_trials is None:
            raise ValueError(f"num_trials is needed for {algorithm}")
        self._space = space
        self._key, self._order = metric, mode
        self._path = Path(folder) / JOURNAL
        self._study_id = study_id
        self._num_trials = num_trials
        self._new_samplers = partial(
            Samplers,
            algorithm,
            seed=seed,
            num_trials=num_trials,
            conditional=space.conditional,
            points=[space.encode(point) for point in points],
        )
        self._known: set[str] = set()
        self._close()

    def _close(self) -> None:
        self._study: Any = None
        self._journal: DriverJournal | None = None
        self._samplers: Samplers | None = None
        self._n_made = 0
        self._abandoned: list[int] = []
        self._running: dict[str, Trial] = {}
        self._reports: dict[str, dict[int, float]] = {}

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in ("_study", "_journal", "_samplers"):
            state[name] = None
        return {**state, "_n_made": 0, "_abandoned": [], "_running": {}, "_reports": {}}

    def _open(self) -> Any:
        """Open the journal, and find the trials that nobody runs any more."""
        if self._study is not None:
            return self._study
        self._journal = DriverJournal(self._path)
        self._samplers = self._new_samplers()
        self._study = optuna.create_study(
            storage=JournalStorage(self._journal),
            study_name=self._study_id,
            direction="maximize" if self._order == "max" else "minimize",
            load_if_exists=True,
        )
        trials = self._study.get_trials(deepcopy=False)
        self._n_made = len(trials)
        for frozen in trials:
            if frozen.state.is_finished():
                continue
            ray_trial = frozen.user_attrs.get(RAY_TRIAL)
            if ray_trial in self._known:
                self._running[ray_trial] = Trial(self._study, frozen._trial_id)
                self._reports[ray_trial] = dict(frozen.intermediate_values)
            else:
                self._abandoned.append(frozen.number)
        return self._study

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's metric and mode where they are ours; constants in `config` are kept."""
        return metric in (None, self._key) and mode in (None, self._order)

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial, or ``Searcher.FINISHED`` after the last one.

        Trials that were running when an earlier driver ended come first, under their own numbers.
        """
        study = self._open()
        assert self._samplers is not None
        if self._abandoned:
            number = self._abandoned.pop(0)
            frozen = study.get_trials(deepcopy=False)[number]
            study.sampler = self._samplers.of(number)
            trial = Trial(study, frozen._trial_id)
            self._reports[trial_id] = dict(frozen.intermediate_values)
        elif self._n_made >= self._num_trials:
            return Searcher.FINISHED
        else:
            study.sampler = self._samplers.of(self._n_made)
            trial = study.ask()
            self._n_made += 1
            self._reports[trial_id] = {}
        values = self._space.suggest(trial)
        trial.set_user_attr(RAY_TRIAL, trial_id)
        self._running[trial_id] = trial
        self._known.add(trial_id)
        return {"trial": trial.number, "values": values}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Note one report; an epoch that a restarted trial repeats counts once."""
        self._open()
        trial = self._running.get(trial_id)
        if trial is None or self._key not in result or "epoch" not in result:
            return
        epoch, value = int(result["epoch"]), float(result[self._key])
        if epoch not in self._reports[trial_id]:
            self._reports[trial_id][epoch] = value
            trial.report(value, step=epoch)

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
        values = list(self._reports.pop(trial_id).values())
        if error or result.get("failed") or not values or any(map(math.isnan, values)):
            study.tell(trial.number, state=TrialState.FAIL)
        elif result.get("finished"):
            study.tell(trial.number, best_report(values, self._order))
        else:
            study.tell(trial.number, state=TrialState.PRUNED)
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
