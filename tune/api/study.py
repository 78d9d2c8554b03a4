"""A study in Python: what it found, so far or at its end, and how it goes on.

The commands come through here before Ray starts, so that what brings torch or Optuna is imported
within functions; see ``docs/decisions/0032-a-fast-start.md``.
"""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hbpr.data.given import as_interactions
from hbpr.errors import StudyError
from hbpr.parts import paths_in
from hbpr.places import is_url
from hbpr.tracking.records import StudyRecord
from hbpr.tracking.registry import load_system
from hbpr.tracking.store import default_tracking_uri
from tune.answer.about import AboutStudy
from tune.api.recorded import Recorded, folder_of, of_folder, of_mlflow, reference_of
from tune.settings import StudyPlan, make_plan
from tune.storage.folder import StudyFolder
from tune.storage.resume import with_sweep
from tune.storage.where import is_store
from tune.study import StudyInterrupted, run_study
from tune.study.listen import Listener, TrialEvent

if TYPE_CHECKING:
    from hbpr.inference.system import RecommendationSystem

logger = logging.getLogger(__name__)

#: What hears of a running study: one function, or several.
Callbacks = Callable[[TrialEvent], None] | list[Listener] | tuple[Listener, ...]


class Study(AboutStudy):
    """A study that has come to its result, or as far as it came.

    `hbpr.search` returns one, and `Study.load` reads one that was run before. `len` and iteration
    are over its trials, `to_frame` is a data frame of them; a notebook shows it as a page.

    Example:
        >>> study = Study.load("studies/ml-100k/20260101-120000-ab12")  # doctest: +SKIP
        >>> study.best_settings, study.best_value  # doctest: +SKIP
        >>> study.recommend([42], k=5)  # doctest: +SKIP

    Attributes:
        record: All that its pages show, as plain data.
        folder: Folder of the study, absolute; None where it is not on this machine.
        interrupted: Whether the call that returned it was stopped by Ctrl-C.
    """

    def __init__(
        self,
        recorded: Recorded,
        system: "RecommendationSystem | None" = None,
        *,
        data: Any = None,
        interrupted: bool = False,
    ) -> None:
        self._recorded = recorded
        self._system = system
        self._data = data
        self.interrupted = interrupted
        self.record: StudyRecord = recorded.record
        self.folder: Path | None = recorded.folder

    @classmethod
    def load(cls, reference: str | Path, *, tracking_uri: str | None = None) -> Self:
        """Read a study that was run before, finished or not.

        Args:
            reference: Folder or URL of the study, or ``mlflow:EXPERIMENT/STUDY``, or
                ``mlflow:EXPERIMENT``, whose newest study it is.
            tracking_uri: Where MLflow has it; None: ``MLFLOW_TRACKING_URI``, or else ``mlflow.db``
                in the current folder. Not looked at for a folder.

        Raises:
            StudyFolderError: It is no study's folder, or one of another version of hbpr.
            ConfigError: There is no such study in MLflow.
            TrackingError: MLflow does not answer.
        """
        found = reference_of(reference)
        if isinstance(found, Path) or is_url(found):
            return cls(of_folder(found))
        return cls(of_mlflow(found, tracking_uri or default_tracking_uri()))

    @property
    def finished(self) -> bool:
        """Whether it has come to its result; otherwise `resume` goes on with it."""
        return self.record.winner is not None

    @property
    def system(self) -> "RecommendationSystem":
        """The winner, trained again on all but the test part: what recommends.

        Raises:
            StudyError: The study has not come to its result.
            DataError: What its folder keeps of the winner cannot be read.
            TrackingError: MLflow does not have the winner.
        """
        if self._system is None:
            self._system = self._load_system()
        return self._system

    def _load_system(self) -> "RecommendationSystem":
        winner, folder = self.winner, self.folder
        known = paths_in(self._recorded.settings.model_dump(mode="json"))  # imported already
        if folder is not None and StudyFolder(folder).model.is_dir():
            from hbpr.inference.system import RecommendationSystem

            return RecommendationSystem.load(StudyFolder(folder).model, allow=known)
        if self.record.tracking.run_id is None:
            raise StudyError(
                f"study {self.study_id}: the winner, trial {winner.number}, is neither in a folder "
                "on this machine nor in MLflow"
            )
        uri = f"runs:/{self.record.tracking.run_id}/recommender"
        return load_system(uri, self._recorded.tracking_uri, allow=known)

    def recommend(self, users: Any, k: int = 10, **options: Any) -> Any:
        """Return the best items for users, see `RecommendationSystem.recommend`."""
        return self.system.recommend(users, k, **options)

    @property
    def page(self) -> Path | None:
        """The study as one page for a browser; None before its result, or where it is not here."""
        page = None if self.folder is None else StudyFolder(self.folder).page
        return page if page is not None and page.is_file() else None

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from dashboards.notebook import study_card

        return study_card(self.record, page=self.page)

    def resume(
        self,
        *,
        data: Any = None,
        columns: Mapping[str, Any] | None = None,
        callbacks: Callbacks = (),
        progress: bool = True,
        cpus: int | None = None,
        address: str | None = None,
        **sweep: Any,
    ) -> "Study":
        """Go on with the study: trials that ended are kept, others go on from their checkpoints.

        Args:
            data: Data that were given in memory, where the study's folder does not keep them; they
                must be the same, split the same way.
            columns: As in `hbpr.search`, for a data frame.
            callbacks: As in `hbpr.search`.
            progress: As in `hbpr.search`.
            cpus: As in `hbpr.search`.
            address: As in `hbpr.search`.
            **sweep: Settings of the search that may change: ``num_trials`` upwards, ``budget``,
                ``faults``, ``final``, ``max_concurrent``. A study that has come to its result
                needs one of them.

        Returns:
            The study as it is then. Ctrl-C stops it in order, as in `hbpr.search`.

        Raises:
            StudyFolderError: Its folder is not here, the data are others or have to be given
                again, a setting may not change, or there is nothing left to do.
            HbprError: As `hbpr.search`.
        """
        folder = folder_of(self._recorded)
        plan = make_plan(with_sweep(self._recorded.settings, sweep))
        data = self._data if data is None else data
        return run_until_stopped(
            plan,
            data=None if data is None else as_interactions(data, plan.settings.data, columns),
            address=address,
            cpus=cpus,
            progress=progress,
            callbacks=callbacks,
            resume=folder,
        )


def run(
    plan: StudyPlan,
    *,
    data: Any = None,
    address: str | None = None,
    cpus: int | None = None,
    progress: bool = True,
    callbacks: Callbacks = (),
    resume: str | Path | None = None,
    **more: Any,
) -> Study:
    """Run a study, or go on with one, to its result: the one door of Python and the commands.

    Args:
        plan: What to search, and how.
        data: `Interactions` in memory; None: what the settings name.
        address: Ray cluster to join.
        cpus: CPUs of a private Ray.
        progress: Show progress on stdout.
        callbacks: Called with every report and every end of a trial.
        resume: Folder or URL of a study to go on with.
        **more: Further arguments of `tune.study.run_study`.

    Raises:
        StudyInterrupted: Ctrl-C, or SIGTERM; the study can be resumed.
        HbprError: As `tune.study.run_study`.
    """
    listeners = (callbacks,) if callable(callbacks) else tuple(callbacks)
    result = run_study(
        plan,
        data=data,
        address=address,
        cpus=cpus,
        progress=progress,
        resume=resume,
        callbacks=listeners,
        **more,
    )
    uri = plan.settings.mlflow.tracking_uri
    folder = None if is_store(plan.settings.sweep.storage) else result.folder
    return Study(Recorded(result.record, plan.settings, folder, uri), result.system, data=data)


def run_until_stopped(plan: StudyPlan, *, data: Any = None, **options: Any) -> Study:
    """Do what `run` does; Ctrl-C returns the study as far as it came."""
    try:
        return run(plan, data=data, **options)
    except StudyInterrupted as stop:
        if stop.ended_from_outside:
            raise
        folder = stop.folder
    logger.warning("the study was stopped; go on with it by study.resume(), or: %s", folder)
    asked = plan.settings  # the stored ones have no password of MLflow
    found = of_folder(folder)._replace(settings=asked, tracking_uri=asked.mlflow.tracking_uri)
    return Study(found, data=data, interrupted=True)
