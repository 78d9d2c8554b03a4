"""The Tune callback that records a study in MLflow, from the driver alone.

It writes events to the study's `Outbox` (microseconds each) and never talks to MLflow itself: a
thread does, through `Delivery`. MLflow that is slow or away costs no trial anything.
"""

import logging
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from ray.tune import Callback

from hbpr.names import COSTS, DATA_SHARE, EVAL_S, LOSS, TRAIN_S, baseline_name, best_name
from hbpr.tracking.records import Parent
from hbpr.tracking.run_log import as_text
from hbpr.tracking.store import mask_uri
from tune.tracking.delivery import Delivery
from tune.tracking.events import (
    History,
    finite,
    repeat_run,
    study_start,
    trial_end,
    trial_faults,
    trial_start,
    winner_note,
    without_passwords,
)
from tune.tracking.outbox import Event, Outbox
from tune.tracking.runs import STATUS_OF, STUDY, Status
from tune.tracking.sender import Sender
from tune.tracking.view import view_path
from tune.trial.messages import error_of

if TYPE_CHECKING:
    from hbpr.tracking.records import TrialRecord
    from hbpr.tracking.registry import Registered
    from tune.storage.repeat import Repeat

logger = logging.getLogger(__name__)

_OPEN: "WeakValueDictionary[str, MlflowRecorder]" = WeakValueDictionary()
_ALWAYS: Final = frozenset({LOSS, TRAIN_S, EVAL_S, DATA_SHARE, *COSTS})
#: Why a trial failed whose driver was killed before it wrote that down.
_UNTOLD: Final = "the reason was lost with a driver that was killed just then"


class MlflowRecorder(Callback):
    """Records one study in one flat list of runs: its own, one a trial, one a repeat of a finalist.

    A trial's run has the searched values as params, its validation metrics at step = epoch, and
    the best value so far as ``best/…``, which MLflow's table can be sorted by. It ends as FINISHED,
    as KILLED where the scheduler or Ctrl-C stopped it, as FAILED where it raised.

    Pickling keeps the arguments alone, without the password of a URI. Within one process a copy
    *is* the recorder of that folder, so the object that Tune restores is the caller's.

    Args:
        folder: The study's folder; records wait in its ``outbox``.
        tracking_uri: SQLite file (absolute) or server.
        experiment_name: MLflow experiment, made where there is none.
        study_id: What tells this study from all others; letters, digits, ``-`` and ``_``.
        study_name: Name of the study's run in MLflow's table.
        settings: All settings of the study, as plain data.
        monitor: Metric that the study maximises.
        others: Metrics that it looks at besides.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        tracking_uri: str,
        experiment_name: str,
        study_id: str,
        study_name: str,
        settings: Mapping[str, Any],
        monitor: str = "val/ndcg_at_10",
        others: Sequence[str] = (),
    ) -> None:
        self.folder = Path(folder).absolute()
        self.tracking_uri = tracking_uri
        self.experiment_name = experiment_name
        self.study_id = study_id
        self.study_name = study_name
        self.settings = dict(settings)
        self.monitor = monitor
        self.others = tuple(others)
        self._delivery = Delivery(tracking_uri, experiment_name, study_id)
        self._outbox: Outbox | None = None
        self._sender: Sender | None = None
        self._history = History(monitor)
        self._running: set[int] = set()
        self._finished: set[int] = set()
        self._away_s = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = {
            "folder": str(self.folder),
            "tracking_uri": mask_uri(self.tracking_uri),
            "experiment_name": self.experiment_name,
            "study_id": self.study_id,
            "study_name": self.study_name,
            "settings": without_passwords(self.settings),
            "monitor": self.monitor,
            "others": self.others,
        }
        return _revive, (arguments,)

    # What the study calls.

    def open(self) -> None:
        """Take the outbox, read what earlier runs of the study recorded, and start sending.

        Raises:
            StudyError: Another process runs this study.
        """
        if self._outbox is not None:
            return
        self._outbox = Outbox(self.folder / "outbox")
        for event in self._outbox.events():
            self._history.note(event)
        _OPEN[str(self.folder)] = self
        self._append(
            study_start(
                self.study_id,
                name=self.study_name,
                experiment_name=self.experiment_name,
                tracking_uri=self.tracking_uri,
                settings=self.settings,
                metrics=(self.monitor, *self.others),
            )
        )
        self._sender = Sender(self._outbox, self._delivery, mask_uri(self.tracking_uri))

    def catch_up(self, trials: "Sequence[TrialRecord]") -> None:
        """Record what the study's journal knows and the records do not.

        A driver that was killed may have told one and not the other. Trials that the journal does
        not know as ended are left alone: they run again.
        """
        for trial in trials:
            number, status = trial.number, STATUS_OF.get(trial.state)
            if status is None or number in self._history.ended:
                continue
            if number not in self._history.started:
                self._start(number, trial.values, trial.parent)
            for epoch, value in sorted(trial.reports.items()):
                if math.isfinite(value):
                    self._report(
                        number, epoch, {self.monitor: value} | finite(trial.measured.get(epoch, {}))
                    )
            self._end(number, status, _UNTOLD if status == "FAILED" else None)

    def metrics_at(self, number: int, epoch: int) -> dict[str, float]:
        """Return the validation metrics that a trial reported at an epoch; empty if unknown."""
        if self._outbox is None:
            return {}
        found: dict[str, float] = {}
        for event in self._outbox.events():
            if (event["event"], event.get("trial"), event.get("step")) == ("result", number, epoch):
                found = {k: v for k, v in event["metrics"].items() if k.startswith("val/")}
        return found

    @property
    def away_s(self) -> float:
        """Seconds for which MLflow did not answer while this process recorded."""
        return self._away_s + (self._sender.away_s if self._sender is not None else 0.0)

    @property
    def failures(self) -> dict[int, str]:
        """Why trials failed, by number: those of earlier sittings too."""
        return dict(self._history.errors)

    @property
    def n_restarts(self) -> int:
        """Crashes of trials' processes that were made good, in earlier sittings too."""
        return self._history.restarts.total()

    @property
    def n_hangs(self) -> int:
        """Processes of trials that hung and were killed, in earlier sittings too."""
        return self._history.hangs.total()

    @property
    def registered(self) -> "Registered | None":
        """The registered version of the model, once MLflow has it."""
        return self._delivery.registered

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until MLflow has everything; return False where it took longer."""
        return self._sender is None or self._sender.flush(timeout_s)

    @property
    def run_ids(self) -> dict[int, str]:
        """Run id of each trial's number, as far as MLflow has given them: see `flush`."""
        runs = self._delivery.runs.items()
        return {place.trial: run for place, run in runs if place.kind == "trial"}

    @property
    def study_run_id(self) -> str | None:
        """Id of the study's own run, once MLflow has given it."""
        return self._delivery.runs.get(STUDY)

    @property
    def experiment_id(self) -> str | None:
        """Id of the experiment, once MLflow has answered."""
        return self._delivery.experiment_id

    def view_path(self, *, charts: bool = False) -> str | None:
        """Return what follows the address of MLflow's pages to see all trials of this study.

        None until MLflow has answered.
        """
        experiment = self.experiment_id
        return None if experiment is None else view_path(experiment, self.study_id, charts=charts)

    def record_hang(self, number: int) -> None:
        """Record that a trial's process hung and was killed."""
        self._add_faults(number, hangs=1)

    def record_front(self, numbers: Sequence[int]) -> None:
        """Tag each trial that has ended with whether it is on the Pareto front."""
        for number in sorted(self._history.ended):
            on_front = "true" if number in numbers else "false"
            self._append({"event": "tag", "trial": number, "tags": {"hbpr.front": on_front}})

    def record_repeats(
        self, number: int, values: Mapping[str, Any], repeats: "Sequence[Repeat]"
    ) -> None:
        """Record a finalist's runs with other seeds, each as a run that is no trial.

        Args:
            number: Number of the trial.
            values: Its searched values.
            repeats: The runs; one that an earlier sitting recorded is not recorded again.
        """
        for repeat in repeats:
            event = repeat_run(number, repeat, values, self.study_name, self.monitor)
            if not self._history.knows_repeat(event):
                self._append(event)

    def record_final(
        self,
        *,
        best_trial: int,
        best_value: float,
        values: Mapping[str, Any],
        test: Mapping[str, float] | None = None,
        baseline: Mapping[str, float] | None = None,
        model_folder: str | Path | None = None,
        files: Sequence[str | Path] = (),
        tags: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        register: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the study's answer on its run.

        Args:
            best_trial: Number of the winner.
            best_value: Its best value of the monitored metric.
            values: Its searched values.
            test: Test metrics of the refitted winner, ``test/…``.
            baseline: The same metrics of the baseline; those of the test part are recorded as
                ``baseline/…``.
            model_folder: Where the winning `RecommendationSystem` was saved; becomes the run's
                model.
            files: Files to keep with the run.
            tags: More tags.
            metrics: More metrics.
            register: Register the model, with these tags of its version; see `Delivery`.
        """
        test, baseline = test or {}, baseline or {}
        metrics = finite(test) | finite(metrics or {})
        for name, value in finite(baseline).items():
            if name.startswith("test/"):
                metrics[baseline_name(name)] = value
        event: Event = {
            "event": "final",
            "metrics": metrics,
            "tags": {
                "hbpr.best_trial": str(best_trial),
                "hbpr.best_value": f"{best_value:.6g}",
                "hbpr.best_values": as_text(dict(values)),
                "mlflow.note.content": winner_note(
                    self.monitor, best_trial, best_value, values, test, baseline
                ),
            }
            | dict(tags or {}),
            "files": [str(Path(path).absolute()) for path in files],
        }
        if model_folder is not None:
            event["model"] = str(Path(model_folder).absolute())
            if register is not None:
                event["register"] = {key: as_text(value) for key, value in register.items()}
        at = self._history.time_of(event)  # a driver was killed just then: the same once more
        self._append(event if at is None else event | {"at": at})

    def finish(self, status: Status = "FINISHED", timeout_s: float = 30.0) -> bool:
        """Close every run that is still open, send all, and let the study's folder go.

        Trials that are still running are recorded as KILLED; a resumed study opens them again.

        Returns:
            False where MLflow does not have everything: the rest stays in the outbox.
        """
        if self._outbox is None:
            return True
        for trial in self._history.open:
            self._end(trial, "KILLED")
        self._append({"event": "end", "status": status})
        complete = self.flush(timeout_s)
        if not complete:
            logger.warning(
                "MLflow at %s does not have all records of this study; the rest waits in %s. Send "
                "it with: hbpr study sync %s",
                mask_uri(self.tracking_uri),
                self._outbox.folder,
                shlex.quote(str(self.folder)),
            )
        if self._sender is not None:
            self._sender.close()
            self._away_s += self._sender.away_s
        self._outbox.close()
        self._outbox = self._sender = None
        _OPEN.pop(str(self.folder), None)
        return complete

    # What Tune calls.

    def setup(
        self,
        stop: Any = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        **info: Any,
    ) -> None:
        """Open the records."""
        self.open()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a trial's settings; Tune calls this again after a pause or a retry."""
        number = _number(trial)
        if number in self._running:
            return
        self._running.add(number)
        parent = trial.config.get("parent")
        self._start(number, trial.config["values"], Parent(**parent) if parent else None)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Record the metrics of an epoch that was not recorded before."""
        number, step = _number(trial), int(result.get("epoch", 0))
        if result.get("finished"):
            self._finished.add(number)
        metrics = {
            name: value
            for name, value in result.items()
            if name in _ALWAYS or name.startswith("val/")
        }
        self._report(number, step, finite(metrics))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record a crash that is made good."""
        self._add_faults(_number(trial), restarts=1)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the run of a trial that ended, was stopped, or gave up with a reason."""
        reason = (trial.last_result or {}).get("failed")
        if reason:
            self._end(_number(trial), "FAILED", str(reason))
        else:
            self._end(_number(trial), self._outcome(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the run of a trial that raised and is not tried again."""
        self._end(_number(trial), "FAILED", error_of(trial))

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close runs whose end was lost with a driver that was killed just then."""
        for trial in trials:
            number = _number(trial)
            if number not in self._history.open:
                continue
            if trial.status == "TERMINATED":
                self._end(number, self._outcome(trial))
            elif trial.status == "ERROR":
                self._end(number, "FAILED", error_of(trial))

    # Inside.

    def _append(self, event: Event) -> None:
        if self._outbox is None:
            raise RuntimeError("the recorder is not open")
        event = {"at": int(time.time() * 1000)} | event
        self._outbox.append(event)
        self._history.note(event)

    def _start(self, number: int, values: Mapping[str, Any], parent: Parent | None = None) -> None:
        self._append(trial_start(number, values, self.study_name, parent))

    def _report(self, number: int, step: int, metrics: dict[str, float]) -> None:
        if step <= self._history.last_step(number):
            return  # done again after a restart from a checkpoint
        value = metrics.get(self.monitor)
        if value is not None and value > self._history.best(number):
            metrics[best_name(self.monitor)] = value
        self._append({"event": "result", "trial": number, "step": step, "metrics": metrics})

    def _add_faults(self, number: int, *, restarts: int = 0, hangs: int = 0) -> None:
        before = self._history
        self._append(
            trial_faults(number, before.restarts[number] + restarts, before.hangs[number] + hangs)
        )

    def _end(self, number: int, status: Status, error: str | None = None) -> None:
        self._running.discard(number)
        self._append(trial_end(number, status, error))

    def _outcome(self, trial: Any) -> Status:
        done = _number(trial) in self._finished or (trial.last_result or {}).get("finished")
        return "FINISHED" if done else "KILLED"


def _revive(arguments: dict[str, Any]) -> MlflowRecorder:
    return _OPEN.get(arguments["folder"]) or MlflowRecorder(**arguments)


def _number(trial: Any) -> int:
    return int(trial.config["trial"])
