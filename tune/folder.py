"""A study's folder: all that it keeps on disk, and what a resumed study starts from.

<storage>/<experiment>/<study id>/
    settings.json   the resolved settings and a fingerprint of each dataset
    journal.log     every trial, its values and its steps: what a resumed study goes by
    outbox/         records that the tracking server has not taken yet
    checkpoints/    of trials that have not ended
    model/          the winner, refitted
    summary.json    the result; a study without one is unfinished
"""

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbpr.errors import StudyError
from hbpr.mlflow_log import flatten, mask_uri
from tune.settings import StudySettings


@dataclass(frozen=True)
class StudyFolder:
    """Paths of one study; `path` is absolute and ends in the study's id."""

    path: Path

    @property
    def study_id(self) -> str:
        """Name of the study, from the time it was started."""
        return self.path.name

    @property
    def settings(self) -> Path:
        """The resolved settings."""
        return self.path / "settings.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal of the trials."""
        return self.path / "journal.log"

    @property
    def ray(self) -> Path:
        """What Ray Tune writes; nothing there is needed again."""
        return self.path / "ray"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of trials that have not ended."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Metrics of the best trial so far."""
        return self.path / "best.json"

    @property
    def model(self) -> Path:
        """The winner."""
        return self.path / "model"

    @property
    def summary(self) -> Path:
        """The result."""
        return self.path / "summary.json"

    def drop_leftovers(self) -> None:
        """Remove what only an unfinished study needs."""
        for path in (self.checkpoints, self.ray):
            shutil.rmtree(path, ignore_errors=True)

    @property
    def finished(self) -> bool:
        """Whether the study has come to its result."""
        return self.summary.exists()


def experiment_folder(settings: StudySettings) -> Path:
    """Return the absolute folder that holds the studies of an experiment."""
    name = re.sub(r"[^\w.+-]+", "-", settings.mlflow.experiment_name).strip(".-") or "study"
    return Path(settings.sweep.storage).absolute() / name


def create(settings: StudySettings, fingerprints: Mapping[str, str]) -> StudyFolder:
    """Make the folder of a new study and write down what it is about.

    Args:
        settings: The resolved settings.
        fingerprints: Fingerprint of the data of each data setting.
    """
    started = time.strftime("%Y%m%d-%H%M%S")
    folder = StudyFolder(experiment_folder(settings) / f"{started}-{secrets.token_hex(2)}")
    folder.checkpoints.mkdir(parents=True)
    content = {"settings": _public(settings), "data": dict(fingerprints)}
    write_json(folder.settings, content)
    return folder


def newest_unfinished(settings: StudySettings) -> StudyFolder:
    """Return the newest study of the experiment that has not come to its result.

    Raises:
        StudyError: There is none.
    """
    above = experiment_folder(settings)
    for path in sorted(above.glob("*/settings.json"), reverse=True):
        folder = StudyFolder(path.parent)
        if not folder.finished:
            return folder
    raise StudyError(
        f"--resume: no unfinished study of experiment {settings.mlflow.experiment_name!r} in "
        f"{above}; leave --resume out to start one"
    )


def reopen(path: Path, settings: StudySettings, fingerprints: Mapping[str, str]) -> StudyFolder:
    """Return the folder of an unfinished study, if it is the study that the settings describe.

    Raises:
        StudyError: It is none, it is finished, or its settings or data were others.
    """
    folder = StudyFolder(path.absolute())
    try:
        before = json.loads(folder.settings.read_text())
    except (OSError, ValueError) as error:
        raise StudyError(f"--resume {path}: this is not the folder of a study ({error})") from error
    if folder.finished:
        raise StudyError(
            f"--resume {path}: this study has come to its result; see {folder.summary}"
        )
    old, new = flatten(before["settings"]), flatten(_public(settings))
    changed = [
        f"  {key}: was {_shown(old, key)}, is now {_shown(new, key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if before["data"] != dict(fingerprints):
        changed.append("  the data: other users, items or interactions than before")
    if changed:
        raise StudyError(
            f"--resume {path}: the study was started with other settings:\n"
            + "\n".join(changed)
            + "\nTake them back to go on with it, or leave --resume out to start a new study"
        )
    return folder


def write_json(path: Path, content: Any) -> None:
    """Write a file that is either whole or not there."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2, default=str) + "\n")
    os.replace(partial, path)


def _public(settings: StudySettings) -> dict[str, Any]:
    """Return the settings as JSON values, without the password of the tracking server."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    values["mlflow"]["tracking_uri"] = mask_uri(settings.mlflow.tracking_uri)
    return values


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"
