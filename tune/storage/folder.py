"""A study's folder: all that it keeps on disk.

<storage>/<experiment>/<study id>/      (of an object store: while the study runs, see `opened`)
    settings.json   the resolved settings and a fingerprint of each dataset
    data/           data that were given in memory; else the settings say where they come from
    journal.log     every trial, its values and its steps: what a resumed study goes by
    outbox/         records that the tracking server has not taken yet
    spent.json      seconds that count for the budget
    checkpoints/    of trials that have not ended
    finals/         repeats of the best trials with other seeds
    model/          the winner, refitted
    summary.*       the result, for people (txt, html) and programs (json); a study without a
                    summary.json is unfinished
"""

import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hbpr.errors import FormatError, StudyFolderError
from hbpr.files import PARTIAL, write_json
from hbpr.settings.stored import FORMAT, FORMAT_KEY, up_to_date
from hbpr.tracking.store import mask_uri
from tune.settings import StudySettings
from tune.storage import names
from tune.storage.where import experiment_folder as experiment_folder


@dataclass(frozen=True)
class StudyFolder:
    """Paths of one study; `path` is absolute and ends in the study's id.

    Attributes:
        path: The folder on this machine.
        url: Address of a study that is kept in an object store; empty for others.
    """

    path: Path
    url: str = ""

    @property
    def told(self) -> str:
        """Where the study is, for people and for commands."""
        return self.url or str(self.path)

    @property
    def study_id(self) -> str:
        """Name of the study, from the time it was started."""
        return self.path.name

    @property
    def settings(self) -> Path:
        """The resolved settings."""
        return self.path / names.SETTINGS

    @property
    def data(self) -> Path:
        """Data that were given in memory."""
        return self.path / names.DATA

    @property
    def journal(self) -> Path:
        """Optuna's journal of the trials."""
        return self.path / names.JOURNAL

    @property
    def ray(self) -> Path:
        """What Ray Tune writes; nothing there is needed again."""
        return self.path / names.RAY

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of trials that have not ended."""
        return self.path / names.CHECKPOINTS

    @property
    def spent(self) -> Path:
        """What the study has spent of its budget."""
        return self.path / names.SPENT

    @property
    def finals(self) -> Path:
        """Repeats of the best trials."""
        return self.path / names.FINALS

    @property
    def model(self) -> Path:
        """The winner."""
        return self.path / names.MODEL

    @property
    def summary(self) -> Path:
        """The result."""
        return self.path / names.SUMMARY

    @property
    def page(self) -> Path:
        """The result as one page for a browser."""
        return self.path / names.SUMMARY_PAGE

    @property
    def text(self) -> Path:
        """The result as the terminal showed it."""
        return self.path / names.SUMMARY_TEXT

    def drop_leftovers(self) -> None:
        """Remove what only an unfinished study needs."""
        for path in (self.checkpoints, self.finals, self.ray, *self.path.rglob(f".*{PARTIAL}")):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @property
    def finished(self) -> bool:
        """Whether the study has come to its result."""
        return self.summary.exists()

    @property
    def outbox(self) -> Path:
        """Records on their way to MLflow."""
        return self.path / names.OUTBOX


def new_id() -> str:
    """Return the id of a study that starts now."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def create(
    settings: StudySettings,
    fingerprints: Mapping[str, str],
    *,
    folder: StudyFolder | None = None,
) -> StudyFolder:
    """Make the folder of a new study and write down what it is about.

    Args:
        settings: The resolved settings.
        fingerprints: Fingerprint of the data of each data setting.
        folder: The folder; None: a new one where the settings say. One that a driver left which
            was killed before it wrote the settings is taken.

    Raises:
        StudyFolderError: Another driver has just started the study of that name.
    """
    folder = folder or StudyFolder(experiment_folder(settings) / new_id())
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    if folder.settings.exists():
        raise StudyFolderError(
            f"{folder.told}: another process has just started this study; start again to go on "
            "with it, once that one has ended"
        )
    write_settings(folder, settings, fingerprints)
    return folder


@contextmanager
def removed_if_empty(folder: Path) -> Iterator[None]:
    """If the body raises, take away the folder of an experiment and its storage where empty."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something is there, or nothing any more
            folder.rmdir()
            folder.parent.rmdir()
        raise


def read_settings(path: Path) -> tuple[StudySettings, dict[str, str]]:
    """Return the settings of a study and the fingerprints of its data, as its folder keeps them.

    Raises:
        StudyFolderError: The path is not the folder of a study, or one of another version of hbpr.
    """
    raw, fingerprints = stored_settings(path, str(path))
    try:
        return StudySettings.model_validate_json(json.dumps(raw)), fingerprints
    except ValidationError as error:
        raise StudyFolderError(
            f"{path}: the study's settings cannot be read; another version of hbpr wrote them: "
            f"{error}"
        ) from error


def stored_settings(path: Path, place: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings that are stored, in today's form, and the fingerprints of the data."""
    try:
        content = json.loads((path / names.SETTINGS).read_text())
        settings = up_to_date(content["settings"], StudySettings, content.get(FORMAT_KEY))
        return settings, dict(content["data"])
    except FormatError as error:
        raise StudyFolderError(f"{place}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_study(place, path, error) from error


def write_settings(
    folder: StudyFolder, settings: StudySettings, fingerprints: Mapping[str, str]
) -> None:
    """Write the settings of a study and the fingerprint of the data of each data setting."""
    write_json(
        folder.settings,
        {FORMAT_KEY: FORMAT, "settings": public_settings(settings), "data": dict(fingerprints)},
    )


def _no_study(place: str, path: Path, error: Exception) -> StudyFolderError:
    """Say that a path is not the folder of a study, and where to look for one."""
    if not path.is_dir():
        what = "there is no such folder"
    elif isinstance(error, FileNotFoundError):
        what = f"this is not the folder of a study: it has no {names.SETTINGS}"
    else:
        what = f"this is not the folder of a study: its {names.SETTINGS} cannot be read ({error})"
    return StudyFolderError(
        f"{place}: {what}. Name a folder STORAGE/EXPERIMENT/STUDY; hbpr study list shows them"
    )


def public_settings(settings: StudySettings) -> dict[str, Any]:
    """Return the settings as JSON values, without the password of the tracking server."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    values["mlflow"]["tracking_uri"] = mask_uri(settings.mlflow.tracking_uri)
    return values


def studies_in(folder: Path) -> list[StudyFolder]:
    """Return the studies of an experiment's folder, oldest first."""
    return [StudyFolder(path.parent) for path in sorted(folder.glob(f"*/{names.SETTINGS}"))]
