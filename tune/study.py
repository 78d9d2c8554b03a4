"""A study from its settings to its result: check, search, refit, score, record.

The journal in the study's folder is the one source of truth. Every sitting of a study is a fresh
Ray Tune run over the trials that the journal does not know as ended; see
``docs/decisions/0006-warm-actors-and-steps.md``.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hbpr.data import load_data
from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.errors import ClusterError, ConfigError, DataError, StudyError
from hbpr.mlflow_log import open_client
from hbpr.settings.load import resolve_paths, with_values
from tune import folder as folders
from tune.folder import StudyFolder
from tune.interrupt import StopRequest, StudyInterrupted, orderly_stop
from tune.journal import JournalTrial, quiet_optuna, read_journal
from tune.result import StudyResult, TrialRecord
from tune.runtime import Runtime, ray_runtime
from tune.settings import StudySettings
from tune.space import Space

__all__ = ["StudyInterrupted", "StudyResult", "TrialRecord", "run_study"]

logger = logging.getLogger(__name__)

#: Crashes of a trial's process that are made good from its last checkpoint.
_MAX_CRASHES = 2


def run_study(
    settings: StudySettings,
    *,
    data: Interactions | None = None,
    address: str | None = None,
    cpus: int | None = None,
    progress: bool = True,
    resume: str | Path | None = None,
) -> StudyResult:
    """Run a study to its result.

    All that can be checked is checked before Ray starts and before anything is recorded. A trial
    that fails ends alone. Ctrl-C ends the study in order.

    Args:
        settings: What to search, and how.
        data: Data already in memory; None reads what ``data`` in the settings names.
        address: Ray cluster to join, see `tune.runtime.ray_runtime`.
        cpus: CPUs of a private Ray; None: all of the machine.
        progress: Show progress on stdout.
        resume: Folder of an unfinished study to go on with.

    Returns:
        The trials, the winner, and the winner refitted, scored and saved.

    Raises:
        ConfigError: A setting cannot be used.
        DataError: The data are missing or wrong.
        TrackingError: MLflow cannot be used.
        ClusterError: No Ray, or one that cannot run a trial.
        StudyError: The study cannot be resumed, or no trial came to its end.
        StudyInterrupted: Ctrl-C; the study can be resumed.
    """
    started = time.monotonic()
    settings = resolve_paths(settings)
    space = settings.search_space()
    open_client(settings.mlflow.tracking_uri)
    datasets = _load(settings, space, data)
    fingerprints = {key: interactions.fingerprint for key, interactions in datasets.items()}
    folder = None
    if resume is None:
        _check_storage(settings)
    else:
        folder = folders.reopen(Path(resume), settings, fingerprints)
    data_bytes = sum(map(_n_bytes, datasets.values()))
    with orderly_stop() as stop, ray_runtime(address, cpus=cpus, data_bytes=data_bytes) as ray:
        slots = _slots(settings, ray)
        folder = folder or folders.create(settings, fingerprints)
        return _Study(settings, space, datasets, folder, stop).run(
            ray, slots, progress=progress, started=started
        )


class _Study:
    """One sitting of a study."""

    def __init__(
        self,
        settings: StudySettings,
        space: Space,
        datasets: Mapping[str, Interactions],
        folder: StudyFolder,
        stop: StopRequest,
    ) -> None:
        from tune.recorder import MlflowRecorder
        from tune.watch import Watch

        self._settings = settings
        self._space = space
        self._datasets = datasets
        self._folder = folder
        self._stop = stop
        self._watch = Watch(folder, cpus=settings.sweep.resources.cpu)
        self._recorder = MlflowRecorder(
            folder.path,
            tracking_uri=settings.mlflow.tracking_uri,
            experiment_name=settings.mlflow.experiment_name,
            study_id=folder.study_id,
            study_name=f"study {folder.study_id}",
            settings=settings.model_dump(mode="json"),
            monitor=settings.sweep.metric,
        )

    def run(self, ray: Runtime, slots: int, *, progress: bool, started: float) -> StudyResult:
        self._recorder.open()
        try:
            self._search(slots, progress=progress)
            if self._stop.requested:
                raise KeyboardInterrupt
            result = self._conclude(ray, started)
        except KeyboardInterrupt as error:
            self._recorder.finish("KILLED")
            raise StudyInterrupted(self._folder.path) from error
        except BaseException:
            self._recorder.finish("FAILED")
            raise
        self._recorder.finish("FINISHED")
        return result

    def _journal(self) -> list[JournalTrial]:
        return read_journal(self._folder.path, self._space)

    def _search(self, slots: int, *, progress: bool) -> None:
        """Run the trials that have not ended."""
        before = self._journal()
        total = self._settings.n_trials()
        left = total - sum(trial.state != "RUNNING" for trial in before)
        if left <= 0:
            return
        import ray
        from ray import tune as ray_tune

        from tune.progress import Progress
        from tune.schedulers import make_scheduler
        from tune.searcher import OptunaSearcher
        from tune.trainable import HbprTrainable, TrialContext

        sweep = self._settings.sweep
        shown = Progress(total, sweep.metric, before=before) if progress else None
        context = TrialContext(
            base=self._settings.base_trial(),
            data={key: ray.put(interactions) for key, interactions in self._datasets.items()},
            threads=sweep.resources.cpu,
            checkpoints=self._folder.checkpoints,
        )
        searcher = OptunaSearcher(
            self._space,
            folder=self._folder.path,
            study_id=self._folder.study_id,
            metric=sweep.metric,
            algorithm=sweep.search.algorithm,
            seed=sweep.search.seed,
            num_trials=total,
        )
        try:
            with self._stop.polled(), _quiet_optuna():
                ray_tune.run(
                    HbprTrainable.of(context),
                    name=time.strftime("%Y%m%d-%H%M%S"),
                    storage_path=str(self._folder.ray),
                    num_samples=left,
                    search_alg=searcher,
                    scheduler=make_scheduler(
                        sweep.scheduler,
                        metric=sweep.metric,
                        max_epochs=self._settings.max_epochs(),
                        ended=before,
                    ),
                    max_concurrent_trials=slots,
                    resources_per_trial={"cpu": sweep.resources.cpu, "gpu": sweep.resources.gpu},
                    reuse_actors=True,
                    max_failures=_MAX_CRASHES,
                    checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
                    callbacks=[self._recorder, self._watch, *([shown] if shown else [])],
                    trial_name_creator=_trial_name,
                    trial_dirname_creator=_trial_name,
                    stop=self._stop,
                    raise_on_failed_trial=False,
                    verbose=0,
                )
        finally:
            if shown is not None:
                shown.close()

    def _conclude(self, ray: Runtime, started: float) -> StudyResult:
        """Train the winner for the last time, score it, save it, and write the result down."""
        from tune.final import train_winner

        settings, sweep = self._settings, self._settings.sweep
        trials = self._journal()
        winner = _winner(trials, self._watch.failure)
        value = max(winner.reports.values())
        best_epoch = min(epoch for epoch, seen in winner.reports.items() if seen == value)
        validation = self._watch.best_metrics(winner.number) or {sweep.metric: value}
        trial_settings = with_values(settings.base_trial(), winner.values)
        final = train_winner(
            trial_settings,
            self._datasets[_key(trial_settings, self._datasets)],
            epochs=best_epoch,
            validation=validation,
            refit=sweep.final.refit == "train+validation",
            threads=sweep.resources.cpu,
        )
        final.system.save(self._folder.model)
        self._recorder.record_final(
            best_trial=winner.number,
            best_value=value,
            values=winner.values,
            test=final.test,
            baseline=final.baseline,
            model_folder=self._folder.model,
        )
        self._recorder.flush()
        runs = self._recorder.run_ids
        records = [_record(trial, runs.get(trial.number)) for trial in trials]
        result = StudyResult(
            study_id=self._folder.study_id,
            folder=self._folder.path,
            experiment=settings.mlflow.experiment_name,
            tracking_uri=settings.mlflow.tracking_uri,
            run_id=self._recorder.study_run_id,
            view=self._recorder.view_path(),
            metric=sweep.metric,
            trials=records,
            best=records[trials.index(winner)],
            validation_metrics=validation,
            test_metrics=final.test,
            baseline_metrics=final.baseline,
            system=final.system,
            model_folder=self._folder.model,
            wall_s=time.monotonic() - started,
            search_s=self._watch.search_s,
            busy_cpu_s=self._watch.busy_cpu_s,
            cpus=ray.cpus,
        )
        folders.write_json(self._folder.summary, result.as_json())
        self._folder.drop_leftovers()
        return result


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    import optuna

    before = optuna.logging.get_verbosity()
    quiet_optuna()
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _load(
    settings: StudySettings, space: Space, data: Interactions | None
) -> dict[str, Interactions]:
    """Prepare the data of every data setting that a trial can have, by `data_key`."""
    base = settings.base_trial()
    if data is None:
        datasets = {each.model_dump_json(): load_data(each) for each in space.data_settings(base)}
    else:
        if space.data_points(base) != [{}]:
            raise ConfigError(
                "sweep.space: data.* is searched but the data were given in memory; leave these "
                "dimensions out, or name a source in data"
            )
        datasets = {"": data}
    for interactions in datasets.values():
        for part, key in (("train", "data.split.train"), ("validation", "data.split.validation")):
            if getattr(interactions, part).n_pairs == 0:
                raise DataError(
                    f"{interactions.name}: the {part} part has no positive interactions, and a "
                    f"search needs them (split: {interactions.split or 'unknown'}); raise {key}, "
                    "or add interactions"
                )
    return datasets


def _key(settings: Any, datasets: Mapping[str, Interactions]) -> str:
    return "" if "" in datasets else settings.data.model_dump_json()


def _n_bytes(data: Interactions) -> int:
    total = 0
    for value in vars(data).values():
        if isinstance(value, UserItems | Features):
            total += sum(getattr(array, "nbytes", 0) for array in vars(value).values())
        else:
            total += getattr(value, "nbytes", 0)
    return total


def _check_storage(settings: StudySettings) -> None:
    above = folders.experiment_folder(settings)
    try:
        above.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"sweep.storage: the folder {above} cannot be made ({error.strerror or error}); name "
            "one that can be written to"
        ) from error
    if not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(
            f"sweep.storage: the folder {above} cannot be written to; name one that can"
        )


def _slots(settings: StudySettings, ray: Runtime) -> int:
    """Return how many trials can run at a time.

    Raises:
        ClusterError: Not even one.
    """
    wanted = settings.sweep.resources
    if not ray.private:
        from tune.preflight import check_cluster

        check_cluster(cpu=wanted.cpu, gpu=wanted.gpu, storage=folders.experiment_folder(settings))
    slots = ray.slots(wanted.cpu, wanted.gpu)
    if ray.private and slots == 0:
        raise ClusterError(
            f"sweep.resources: a trial needs {wanted.cpu} CPUs and {wanted.gpu:g} GPUs, this "
            f"machine has {ray.cpus:g} and {ray.gpus:g}; lower them, or join a cluster with "
            "--address"
        )
    return max(min(settings.sweep.max_concurrent or slots, slots), 1)


def _winner(trials: list[JournalTrial], failure: str | None) -> JournalTrial:
    """Return the trial with the highest value among those that ran to their end.

    A trial that the scheduler stopped does not win: what it would have become was not seen, and
    its rung held better ones. Of equal ones the first wins.
    """
    complete = [trial for trial in trials if trial.state == "COMPLETE"]
    if not complete:
        reason = f" The first failure: {failure}" if failure else ""
        raise StudyError(f"none of the {len(trials)} trials came to its end.{reason}")
    return max(complete, key=lambda trial: (trial.value, -trial.number))


def _record(trial: JournalTrial, run_id: str | None) -> TrialRecord:
    best = [epoch for epoch, value in trial.reports.items() if value == trial.value]
    return TrialRecord(
        number=trial.number,
        values=trial.values,
        state=trial.state,
        value=trial.value,
        epochs=max(trial.reports, default=0),
        best_epoch=min(best, default=0),
        run_id=run_id,
    )


def _trial_name(trial: Any) -> str:
    return f"trial-{trial.config['trial']:05d}"
