"""Studies that were run before, by their folder or from MLflow."""

from pathlib import Path
from typing import NamedTuple

from hbpr.errors import ConfigError, StudyFolderError
from hbpr.places import is_url
from hbpr.tracking.reader import read_experiment
from hbpr.tracking.records import Identity, Origin, StudyRecord, Tracking
from hbpr.tracking.store import mask_uri
from tune.settings import StudySettings, plan_of_started
from tune.storage.folder import StudyFolder, public_settings, read_settings
from tune.storage.where import experiment_address, is_store
from tune.warm_start.from_mlflow import PREFIX, read_recorded


class Recorded(NamedTuple):
    """What is known of a study that was run before.

    Attributes:
        record: Its record.
        settings: What was asked for.
        folder: Its folder; None where it is not on this machine.
        tracking_uri: Where MLflow has it.
    """

    record: StudyRecord
    settings: StudySettings
    folder: Path | None
    tracking_uri: str


def of_folder(reference: str | Path) -> Recorded:
    """Read a study by its folder or URL: its summary, or as long as there is none its journal.

    Raises:
        StudyFolderError: It is no study's folder, or one of another version of hbpr.
        HbprError: The object store cannot be read.
    """
    if not is_url(str(reference)):
        return _of(StudyFolder(Path(reference).absolute()))
    from tune.storage.bring import brought

    with brought(str(reference), small=True) as folder:
        return _of(folder)._replace(folder=None)


def _of(folder: StudyFolder) -> Recorded:
    settings, fingerprints = read_settings(folder.path)
    if folder.finished:
        from tune.report.summary import read_summary

        record = read_summary(folder)
    else:
        from tune.storage.trials import read_journal

        plan = plan_of_started(settings)
        name, experiment = folder.study_id, settings.mlflow.experiment_name
        record = StudyRecord(
            Identity(name, f"study {name}", experiment, folder.told),
            Tracking(mask_uri(settings.mlflow.tracking_uri)),
            plan.goals,
            tuple(read_journal(folder.path, plan.space)),
            settings=public_settings(settings),
            origin=Origin(fingerprints),
        )
    return Recorded(record, settings, folder.path, settings.mlflow.tracking_uri)


def of_mlflow(reference: str, tracking_uri: str) -> Recorded:
    """Read a study from MLflow; of a whole experiment the newest one.

    Args:
        reference: ``mlflow:EXPERIMENT`` or ``mlflow:EXPERIMENT/STUDY``.
        tracking_uri: SQLite file or server.

    Raises:
        ConfigError: There is no such experiment or study, or it cannot be read.
        TrackingError: MLflow does not answer.
    """
    found = read_recorded(reference, tracking_uri, "Study.load")[-1]
    experiment, _, study_id = found.name.removeprefix(PREFIX).rpartition("/")
    settings = found.plan.settings
    metric = settings.sweep.metric
    records = read_experiment(tracking_uri, experiment, metric, study_id)
    here = None
    if not is_store(settings.sweep.storage):
        folder = Path(experiment_address(settings)) / study_id
        here = folder if folder.is_dir() else None
    return Recorded(records[0], settings, here, tracking_uri)


def folder_of(recorded: Recorded) -> str | Path:
    """Return the folder, or the URL, of a study that is to go on.

    Raises:
        StudyFolderError: It is not on this machine.
    """
    if recorded.folder is None and is_store(recorded.settings.sweep.storage):
        identity = recorded.record.identity
        return f"{experiment_address(recorded.settings)}/{identity.study_id}"
    if recorded.folder is None:
        raise StudyFolderError(
            f"study {recorded.record.identity.study_id}: its folder "
            f"{experiment_address(recorded.settings)} is not on this machine, and a study goes on "
            "from there. Start a new one that knows its trials: "
            f"start_from=['{PREFIX}{recorded.record.identity.experiment}/"
            f"{recorded.record.identity.study_id}']"
        )
    return recorded.folder


def reference_of(reference: object) -> str | Path:
    """Return what names a study, as a reference in MLflow or a URL (text), or a folder.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(reference, str) and (reference.startswith(PREFIX) or is_url(reference)):
        return reference
    if isinstance(reference, str | Path):
        return Path(reference)
    raise ConfigError(
        "Study.load: expected the folder of a study or mlflow:EXPERIMENT[/STUDY], got "
        f"{reference!r}"
    )
