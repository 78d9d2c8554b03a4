"""A study from its settings to its result: check, search, refit, score, record.

The journal in the study's folder is the one source of truth. Every sitting of a study is a fresh
Ray Tune run over the trials that the journal does not know as ended; see
``docs/decisions/0006-warm-actors-and-steps.md``.

What imports torch, Tune, Optuna or MLflow is imported within functions: while Ray starts, see
`tune.study.early` and ``docs/decisions/0032-a-fast-start.md``.
"""

import logging
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.connect.ray import Runtime, joins, ray_runtime
from hbpr.data.interactions import Interactions
from hbpr.data.parts import check_ranked
from hbpr.errors import StudyError
from hbpr.formats import data_words
from hbpr.places import is_url
from hbpr.tracking import tags as tag
from hbpr.tracking.about import about
from hbpr.tracking.records import TrialRecord
from hbpr.tracking.store import check_store
from hbpr.training.remarks import misplaced_negatives, unused_negatives
from tune.report.say import say
from tune.settings import StudyPlan, StudySettings, make_plan
from tune.storage import folder as folders
from tune.storage import resume as resuming
from tune.storage.beginning import Beginning
from tune.storage.opened import Opened, opened
from tune.storage.where import shared_place
from tune.study.disk import check_writable, disk_problem
from tune.study.early import compiling_told, imports, worker_modules
from tune.study.interrupt import StopRequest, StudyInterrupted, orderly_stop
from tune.study.versions import versions
from tune.trial.data import checked_nodes, load_datasets, n_bytes, trial_slots
from tune.warm_start.earlier import read_beginning

if TYPE_CHECKING:
    from tune.answer.result import StudyResult
    from tune.study.listen import Listener
    from tune.study.room import Room

_log = logging.getLogger(__name__)

__all__ = ["StudyInterrupted", "TrialRecord", "run_study"]


def run_study(  # noqa: PLR0913 - a public function
    study: StudySettings | StudyPlan,
    *,
    data: Interactions | None = None,
    address: str | None = None,
    cpus: int | None = None,
    dashboard: bool = False,
    progress: bool = True,
    resume: str | Path | None = None,
    study_id: str | None = None,
    callbacks: "Sequence[Listener]" = (),
) -> "StudyResult":
    """Run a study to its result.

    All that can be checked is checked before Ray starts and before anything is recorded. A trial
    that fails ends alone. Ctrl-C ends the study in order.

    Args:
        study: What to search, and how; settings are planned here.
        data: Data already in memory; None reads what ``data`` in the settings names, or what the
            folder of a resumed study keeps of data that were in memory. A new study keeps them.
        address: Ray cluster to join, see `cluster.connect.ray.ray_runtime`.
        cpus: CPUs of a private Ray; None: all of the machine.
        dashboard: Start a private Ray's dashboard too.
        progress: Show progress on stdout.
        resume: Folder of an unfinished study to go on with, or its URL in an object store.
        study_id: Id of a new study; None: the time, and a few letters.
        callbacks: Each is called with every report and every end of a trial, see
            `tune.study.listen`; what it raises ends the study, which can be resumed.

    Returns:
        The trials, the winner, and the winner refitted, scored and saved.

    Raises:
        ConfigError: A setting cannot be used.
        SpaceError: A dimension, or a point to start with, is wrong.
        DataError: The data are missing or wrong.
        TrackingError: MLflow cannot be used.
        ClusterError: No Ray, or one that cannot run a trial.
        StudyFolderError: There is no such study to resume, or it was another one.
        StudyError: Another process runs it, no trial came to its end, or the disk is full.
        StudyInterrupted: Ctrl-C; the study can be resumed.
    """
    started = time.monotonic()
    if resume is not None and not is_url(str(resume)):
        resuming.check_is_study(Path(resume))
    plan = study if isinstance(study, StudyPlan) else make_plan(study)
    settings = plan.settings
    beginning = None if resume else read_beginning(plan)
    check_store(settings.mlflow.tracking_uri)
    with opened(plan, resume, study_id) as storage:
        folder = storage.folder
        if storage.resumed and data is None:
            from tune.storage import given

            data = given.read(folder.path)
        datasets = load_datasets(plan, data)
        for interactions in datasets.values():
            check_ranked(interactions, "validation", "test")
        fingerprints = {key: interactions.fingerprint for key, interactions in datasets.items()}
        check_writable(folder.path.parent)
        if storage.resumed:
            resuming.reopen(folder.path, settings, fingerprints, url=folder.url)
        data_bytes = sum(map(n_bytes, datasets.values()))
        announce = say if progress else _log.info
        announce(_data_line(next(iter(datasets.values()))))
        if remark := _remark(plan, next(iter(datasets.values()))):
            announce(remark)
        with (
            folders.removed_if_empty(folder.path.parent),
            orderly_stop() as stop,
            imports(joins=joins(address)) as wait,  # Tune and Optuna, while Ray starts
            ray_runtime(
                address,
                cpus=cpus,
                data_bytes=data_bytes,
                dashboard=dashboard,
                job=f"{settings.mlflow.experiment_name} {folder.study_id}",
                preload=worker_modules(settings.sweep.resources, cpus),
                announce=announce,
            ) as ray,
        ):
            checked = checked_nodes(settings, ray)
            slots = trial_slots(settings, ray)
            wait()
            with _room(settings, None if ray.private else checked, slots) as room:
                if not storage.resumed:
                    folders.create(settings, fingerprints, folder=folder)
                    if data is not None:
                        from tune.storage import given

                        given.keep(folder, data, data_bytes)
                return _Study(plan, datasets, storage, stop, beginning, callbacks).run(
                    ray, room, progress=progress, started=started
                )


def _data_line(data: Interactions) -> str:
    """Return what is searched on: users, items, and the pairs of each part."""
    parts = ("train", "validation", "test")
    pairs = ", ".join(f"{getattr(data, part).n_pairs:,} {part}" for part in parts)
    return f"data {data_words(data.name, data.n_users, data.n_items)}; pairs: {pairs}"


def _remark(plan: StudyPlan, data: Interactions) -> str | None:
    """Return in words what training makes less of observed negatives than it could, if it does."""
    if plan.base.model.solved:
        return None
    negatives = plan.base.training.negatives
    if remark := misplaced_negatives(negatives, data):
        return remark
    if any(key.startswith(("training.negatives", "model.kind")) for key in plan.space.keys):
        return None
    return unused_negatives(negatives, data)


@contextmanager
def _room(settings: StudySettings, checked: list[str] | None, slots: int) -> "Iterator[Room]":
    """Give how many trials run at a time: on a cluster, of `checked` nodes, that follows it."""
    from cluster.connect.capacity import Capacity, count_slots
    from cluster.connect.newcomers import Newcomers
    from tune.study.room import Room

    wanted, most = settings.sweep.resources, settings.sweep.max_concurrent
    if checked is None:
        yield Room(None, at_first=slots, most=most)
        return
    newcomers = Newcomers(checked, shared_place(settings))

    def count() -> Capacity:
        return count_slots(wanted.cpu, wanted.gpu, newcomers.look())

    try:
        yield Room(count, at_first=slots, most=most, unfit=newcomers.unfit)
    finally:
        newcomers.close()


class _Study:
    """One sitting of a study."""

    def __init__(
        self,
        plan: StudyPlan,
        datasets: Mapping[str, Interactions],
        storage: Opened,
        stop: StopRequest,
        beginning: Beginning | None = None,
        callbacks: "Sequence[Listener]" = (),
    ) -> None:
        from tune.study.housekeeping import Housekeeping
        from tune.tracking.recorder import MlflowRecorder

        self._plan = plan
        self._settings = settings = plan.settings
        self._goals = plan.goals
        self._space = plan.space
        self._datasets = datasets
        self._storage = storage
        self._folder = folder = storage.folder
        self._stop = stop
        self._beginning = beginning
        self._callbacks = callbacks
        self._housekeeping = Housekeeping(storage.drop)
        self._busy_cpu_s = self._before_s = 0.0
        self._recorder = MlflowRecorder(
            folder.path,
            tracking_uri=settings.mlflow.tracking_uri,
            experiment_name=settings.mlflow.experiment_name,
            study_id=folder.study_id,
            settings=settings.model_dump(mode="json"),
            monitor=settings.sweep.metric,
            others=self._goals.metrics[1:],
            kept=None if storage.mirror is None else storage.mirror.recorded,
            address=folder.told,
        )

    def run(self, ray: Runtime, room: "Room", *, progress: bool, started: float) -> "StudyResult":
        known = about(self._datasets.values(), versions())
        self._recorder.open({tag.LEFT_OUT: self._left_out()}, known)
        try:
            self._recorder.catch_up(self._journal())
            ended = self._search(room, alone=ray.private, progress=progress)
            self._storage.flush()  # who lost the study to another driver writes no answer
            from tune.study.conclude import Conclusion

            result = Conclusion(
                self._plan,
                self._datasets,
                self._folder,
                self._recorder,
                self._housekeeping,
                self._busy_cpu_s,
                cpus=ray.cpus,
                slots=room.now(),
                progress=progress,
                started=started,
                before_s=self._before_s,
            ).reach(ended)
            self._storage.flush()
            return result
        except KeyboardInterrupt as error:
            self._recorder.finish("KILLED")
            outside = self._stop.signum == signal.SIGTERM
            where = self._folder.url or self._folder.path
            raise StudyInterrupted(where, ended_from_outside=outside) from error
        except BaseException as error:
            problem = disk_problem(error)
            patience = {"timeout_s": 0.0} if self._storage.lost() else {}  # it may send nothing
            self._recorder.finish("KILLED" if problem else "FAILED", **patience)
            if problem is None:
                raise
            raise StudyError(
                f"the study cannot write to its folder {self._folder.path}: {problem}. What it has "
                "is kept. Free some space, then go on with: hbpr study resume "
                f"{shlex.quote(self._folder.told)}"
            ) from error

    def _left_out(self) -> Mapping[str, Any]:
        """Rows that became no pair of their own, by reason; of several datasets each by itself."""
        left_out = {key: dict(data.left_out) for key, data in self._datasets.items()}
        return next(iter(left_out.values())) if len(left_out) == 1 else left_out

    def _journal(self) -> list[TrialRecord]:
        from tune.storage.trials import read_journal

        return read_journal(self._folder.path, self._space)

    def _search(self, room: "Room", *, alone: bool, progress: bool) -> str | None:
        """Run the trials that have not ended; return what ended the search before that, if so."""
        from tune.storage.journal import prune_running
        from tune.study.budget import Budget
        from tune.study.ray_run import Sitting, Watchers, run_trials

        before = self._journal()
        budget = Budget(
            self._settings.sweep.budget, self._folder.spent, before=before, goals=self._goals
        )
        self._before_s = budget.wall_s
        sitting = Sitting(
            self._storage,
            self._datasets,
            beginning=self._beginning,
            before=before,
            room=room,
            alone=alone,
        )
        left = sitting.n_left(self._plan)
        if left > 0 and budget.reached is None:
            watchers = Watchers(
                self._stop, budget, self._recorder, self._housekeeping, self._callbacks
            )
            announce = say if progress else _log.info
            with compiling_told(self._plan.base, announce, lambda: self._housekeeping.heard):
                run_trials(self._plan, sitting, watchers, progress=progress)
            budget.save()
            self._busy_cpu_s = self._settings.sweep.resources.cpu * budget.sitting_train_s
        if self._stop.requested:
            raise KeyboardInterrupt
        if budget.reached is not None and left > 0:
            prune_running(self._folder.path)
            self._recorder.catch_up(self._journal())
            return budget.reached
        return None
