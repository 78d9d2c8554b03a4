"""Records a study in MLflow, from the driver alone.

It writes events to the study's `Outbox` (microseconds each) and never talks to MLflow itself: a
thread does, through `Delivery`. MLflow that is slow or away costs no trial anything.
"""

import logging
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hbpr.names import best_name
from hbpr.tracking import tags as tag
from hbpr.tracking.records import Parent
from hbpr.tracking.run_log import MAX_TAG, as_text
from hbpr.tracking.store import mask_uri
from tune.storage.names import OUTBOX
from tune.tracking.delivery import Delivery
from tune.tracking.events import (
    finite,
    repeat_run,
    study_answer,
    study_start,
    trial_end,
    trial_faults,
    trial_start,
)
from tune.tracking.history import History
from tune.tracking.outbox import Event, Outbox
from tune.tracking.runs import STATUS_OF, STUDY, Status
from tune.tracking.sender import Sender
from tune.tracking.view import view_path

if TYPE_CHECKING:
    from hbpr.tracking.about import About
    from hbpr.tracking.findings import BaselineRecord, Winner
    from hbpr.tracking.records import RunRecord, TrialRecord
    from hbpr.tracking.registry import Registered
    from tune.storage.repeat import Repeat

logger = logging.getLogger(__name__)

#: Why a trial failed whose driver was killed before it wrote that down.
_REASON_LOST: Final = "the reason was lost with a driver that was killed just then"


class MlflowRecorder:
    """Records one study in one flat list of runs: its own, one a trial, one a repeat of a finalist.

    A trial's run has the searched values as params, its validation metrics at step = epoch, and
    the best value so far as ``best/…``, which MLflow's table can be sorted by. It ends as FINISHED,
    as KILLED where the scheduler or Ctrl-C stopped it, as FAILED where it raised.

    Args:
        folder: The study's folder; records wait in its outbox.
        tracking_uri: SQLite file (absolute) or server.
        experiment_name: MLflow experiment, made where there is none.
        study_id: Unique id of the study; letters, digits, ``-`` and ``_``.
        settings: All settings of the study, as plain data.
        monitor: Metric that the study maximises.
        others: Metrics that it looks at besides.
        kept: Returns how many bytes of the outbox's journal are safe, where a copy of it is what
            survives this machine; no more is sent.
        address: What commands call the study; None: the folder.
    """

    def __init__(  # noqa: PLR0913  # each is said by name
        self,
        folder: str | Path,
        *,
        tracking_uri: str,
        experiment_name: str,
        study_id: str,
        settings: Mapping[str, Any],
        monitor: str = "val/ndcg_at_10",
        others: Sequence[str] = (),
        kept: Callable[[], int] | None = None,
        address: str | None = None,
    ) -> None:
        self.folder = Path(folder).absolute()
        self.tracking_uri = tracking_uri
        self.experiment_name = experiment_name
        self.study_id = study_id
        self.study_name = f"study {study_id}"
        self.settings = dict(settings)
        self.monitor = monitor
        self.others = tuple(others)
        self._kept = kept
        self._address = address or str(self.folder)
        self._delivery = Delivery(tracking_uri, experiment_name, study_id)
        self._outbox: Outbox | None = None
        self._sender: Sender | None = None
        self._history = History(monitor)
        self._running: set[int] = set()
        self._nodes: dict[int, str] = {}
        self._away_s = 0.0
        self._about: About | None = None

    def open(self, tags: Mapping[str, Any] | None = None, about: "About | None" = None) -> None:
        """Take the outbox, read what earlier runs of the study recorded, and start sending.

        Args:
            tags: More tags of the study's run.
            about: What all runs of the study are judged on; None: nothing is said of it.

        Raises:
            StudyError: Another process runs this study.
        """
        if self._outbox is not None:
            return
        self._about = about
        self._outbox = Outbox(self.folder / OUTBOX, self._kept)
        for event in self._outbox.events():
            self._history.note(event)
        event = study_start(
            self.study_id,
            folder=str(self.folder),
            name=self.study_name,
            experiment_name=self.experiment_name,
            tracking_uri=self.tracking_uri,
            settings=self.settings,
            metrics=(self.monitor, *self.others),
        )
        event["tags"] |= {key: as_text(value, MAX_TAG) for key, value in (tags or {}).items()}
        self._append(event | self._about_run(event["tags"]))
        self._sender = Sender(self._outbox, self._delivery, mask_uri(self.tracking_uri))

    def catch_up(self, trials: "Sequence[TrialRecord]") -> None:
        """Record what the study's journal knows and the records do not.

        A driver that was killed may have written one and not the other. Trials that the journal
        does not know as ended are left alone: they run again.
        """
        for trial in trials:
            number, status = trial.number, STATUS_OF.get(trial.state)
            if status is None or number in self._history.ended:
                continue
            if number not in self._history.started:
                self._start(number, trial.values, trial.parent)
            for epoch, value in sorted(trial.reports.items()):
                if math.isfinite(value):
                    measured = trial.measured.get(epoch, {})
                    self.report(number, epoch, {self.monitor: value} | measured)
            self.end_trial(number, status, _REASON_LOST if status == "FAILED" else None)

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

    def n_waiting(self) -> int:
        """Return the records that MLflow has not taken yet."""
        outbox = self._outbox
        return 0 if outbox is None or outbox.is_empty else outbox.waiting()

    @property
    def failures(self) -> dict[int, str]:
        """Why trials failed, by number: those of earlier sittings too."""
        return dict(self._history.errors)

    @property
    def runs(self) -> "dict[int, RunRecord]":
        """When and on which machine trials ran, by number: those of earlier sittings too."""
        return dict(self._history.runs)

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
        return {key.trial: run for key, run in runs if key.kind == "trial"}

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
            self._append({"event": "tag", "trial": number, "tags": {tag.FRONT: on_front}})

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
            event |= self._about_run(event["tags"])
            if not self._history.knows_repeat(event):
                self._append(event)

    def record_final(
        self,
        winner: "Winner",
        baselines: "Sequence[BaselineRecord]",
        *,
        model_folder: Path | None = None,
        tags: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        register: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the study's answer on its run.

        Args:
            winner: The answer.
            baselines: What stands beside it.
            model_folder: Where the winning `RecommendationSystem` was saved; becomes the run's
                model.
            tags: More tags.
            metrics: More metrics.
            register: Register the model, with these tags of its version; see `Delivery`.
        """
        event = study_answer(
            winner, baselines, self.monitor, tags=tags or {}, metrics=metrics or {}
        )
        if model_folder is not None:
            event["model"] = str(model_folder.absolute())
            if register is not None:
                event["register"] = {key: as_text(value) for key, value in register.items()}
        at = self._history.time_of(event)  # a driver was killed just then: the same once more
        self._append(event if at is None else event | {"at": at})

    def record_files(self, paths: Sequence[Path]) -> None:
        """Keep files with the study's run."""
        self._append({"event": "tag", "files": [str(path.absolute()) for path in paths]})

    def finish(self, status: Status = "FINISHED", timeout_s: float = 30.0) -> bool:
        """Close every run that is still open, send all, and let the study's folder go.

        Trials that are still running are recorded as KILLED; a resumed study opens them again.

        Returns:
            False where MLflow does not have everything: the rest stays in the outbox.
        """
        if self._outbox is None:
            return True
        for trial in self._history.open:
            self.end_trial(trial, "KILLED")
        self._append({"event": "end", "status": status})
        complete = self.flush(timeout_s)
        if not complete:
            logger.warning(
                "MLflow at %s does not have all records of this study; the rest waits in %s. Send "
                "it with: hbpr study sync %s",
                mask_uri(self.tracking_uri),
                self._outbox.folder,
                shlex.quote(self._address),
            )
        if self._sender is not None:
            self._sender.close()
            self._away_s += self._sender.away_s
        self._outbox.close()
        self._outbox = self._sender = None
        return complete

    def start_trial(
        self, number: int, values: Mapping[str, Any], parent: Parent | None = None
    ) -> None:
        """Open a trial's run; nothing happens where this sitting has it open already.

        Args:
            number: Number of the trial.
            values: Its searched values.
            parent: Where its first weights come from.
        """
        if number not in self._running:
            self._running.add(number)
            self._start(number, values, parent)

    def report(
        self, number: int, epoch: int, metrics: Mapping[str, Any], node: str | None = None
    ) -> None:
        """Record finite metrics of an epoch, if that epoch was not recorded before.

        Args:
            number: Number of the trial.
            epoch: Epochs so far.
            metrics: By name.
            node: Machine that it runs on; recorded where it is another than before.
        """
        if epoch <= self._history.last_step(number):
            return  # done again after a restart from a checkpoint
        points = finite(metrics)
        value = points.get(self.monitor)
        if value is not None and value > self._history.best(number):
            points[best_name(self.monitor)] = value
        event = {"event": "result", "trial": number, "step": epoch, "metrics": points}
        if node is not None and self._nodes.get(number) != node:
            self._nodes[number] = node
            event["tags"] = {tag.NODE: node}
        self._append(event)

    def end_trial(
        self, number: int, status: Status, error: str | None = None, node: str | None = None
    ) -> None:
        """Close a trial's run, with its machine, and the reason where it failed."""
        self._running.discard(number)
        self._nodes.pop(number, None)
        self._append(trial_end(number, status, error, node))

    def is_open(self, number: int) -> bool:
        """Return whether a trial's run is open."""
        return number in self._history.open

    def record_restart(self, number: int) -> None:
        """Record that a trial's process crashed and was started again."""
        self._add_faults(number, restarts=1)

    # Inside.

    def _append(self, event: Event) -> None:
        if self._outbox is None:
            raise RuntimeError("the recorder is not open")
        event = {"at": int(time.time() * 1000)} | event
        self._outbox.append(event)
        self._history.note(event)

    def _start(self, number: int, values: Mapping[str, Any], parent: Parent | None = None) -> None:
        event = trial_start(number, values, self.study_name, parent)
        self._append(event | self._about_run(event["tags"]))

    def _about_run(self, tags: Mapping[str, str]) -> Event:
        """Return what an event of a new run says of the data, beside tags of its own."""
        if self._about is None:
            return {"tags": dict(tags)} if tags else {}
        return {"tags": {**tags, **self._about.tags}, "dataset": self._about.dataset}

    def _add_faults(self, number: int, *, restarts: int = 0, hangs: int = 0) -> None:
        before = self._history
        self._append(
            trial_faults(number, before.restarts[number] + restarts, before.hangs[number] + hangs)
        )
