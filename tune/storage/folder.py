"""A study's folder: all that it keeps on disk, and what a resumed study starts from.

<storage>/<experiment>/<study id>/
    settings.json   the resolved settings and a fingerprint of each dataset
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
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hbpr.errors import ConfigError, FormatError, StudyFolderError
from hbpr.settings.load import apply_overrides
from hbpr.settings.problems import describe
from hbpr.settings.stored import FORMAT, FORMAT_KEY, up_to_date
from hbpr.tracking.run_log import flatten
from hbpr.tracking.store import mask_uri
from tune.settings import DEFAULT_TRIALS, StudySettings

#: How a note of a study ends that came to its result before MLflow had it; the folder follows.
REST_SENT_BY = "the rest is sent by: hbpr study sync"


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
    def spent(self) -> Path:
        """What the study has spent of its budget."""
        return self.path / "spent.json"

    @property
    def finals(self) -> Path:
        """Repeats of the best trials."""
        return self.path / "finals"

    @property
    def model(self) -> Path:
        """The winner."""
        return self.path / "model"

    @property
    def summary(self) -> Path:
        """The result."""
        return self.path / "summary.json"

    @property
    def page(self) -> Path:
        """The result as one page for a browser."""
        return self.path / "summary.html"

    @property
    def text(self) -> Path:
        """The result as the terminal showed it."""
        return self.path / "summary.txt"

    def drop_leftovers(self) -> None:
        """Remove what only an unfinished study needs."""
        for path in (self.checkpoints, self.finals, self.ray):
            shutil.rmtree(path, ignore_errors=True)

    def tell_records_arrived(self) -> None:
        """Say on the result's pages that MLflow has got what they name a command for."""

        def told(text: str, rest: str) -> str:
            return re.sub(f"{REST_SENT_BY}{rest}", "all records have arrived since", text)

        for path, rest in ((self.text, "[^\n]*"), (self.page, "[^<\n]*")):
            if path.exists():
                _replace(path, told(path.read_text(encoding="utf-8"), rest))
        if self.summary.exists():
            content = json.loads(self.summary.read_text(encoding="utf-8"))
            content["notes"] = [told(note, ".*") for note in content["notes"]]
            write_json(self.summary, content)

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
    _write_settings(folder, settings, fingerprints)
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


def newest_unfinished(settings: StudySettings) -> StudyFolder:
    """Return the newest study of the experiment that has not come to its result.

    Raises:
        StudyFolderError: There is none.
    """
    above = experiment_folder(settings)
    for path in sorted(above.glob("*/settings.json"), reverse=True):
        folder = StudyFolder(path.parent)
        if not folder.finished:
            return folder
    raise StudyFolderError(
        f"--resume: no unfinished study of experiment {settings.mlflow.experiment_name!r} in "
        f"{above}; leave --resume out to start one"
    )


def read_settings(path: Path) -> tuple[StudySettings, dict[str, str]]:
    """Return the settings of a study and the fingerprints of its data, as its folder keeps them.

    Raises:
        StudyFolderError: The path is not the folder of a study, or one of another version of hbpr.
    """
    raw, fingerprints = _stored(path, str(path))
    try:
        return StudySettings.model_validate_json(json.dumps(raw)), fingerprints
    except ValidationError as error:
        raise StudyFolderError(
            f"{path}: the study's settings cannot be read; another version of hbpr wrote them: "
            f"{error}"
        ) from error


def check_is_study(path: Path) -> None:
    """Check, before anything is read or made, that there is a study to resume.

    Raises:
        StudyFolderError: The path is not the folder of a study.
    """
    _stored(path, f"--resume {path}")


def _stored(path: Path, place: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings that settings.json holds, in today's form, and data fingerprints."""
    try:
        content = json.loads((path / "settings.json").read_text())
        settings = up_to_date(content["settings"], StudySettings, content.get(FORMAT_KEY))
        return settings, dict(content["data"])
    except FormatError as error:
        raise StudyFolderError(f"{place}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_study(place, path, error) from error


def _write_settings(
    folder: StudyFolder, settings: StudySettings, fingerprints: Mapping[str, str]
) -> None:
    write_json(
        folder.settings,
        {FORMAT_KEY: FORMAT, "settings": _public(settings), "data": dict(fingerprints)},
    )


def _no_study(place: str, path: Path, error: Exception) -> StudyFolderError:
    """Say that a path is not the folder of a study, and where to look for one."""
    if not path.is_dir():
        what = "there is no such folder"
    elif isinstance(error, FileNotFoundError):
        what = "this is not the folder of a study: it has no settings.json"
    else:
        what = f"this is not the folder of a study: its settings.json cannot be read ({error})"
    return StudyFolderError(
        f"{place}: {what}. Name a folder STORAGE/EXPERIMENT/STUDY; hbpr study list shows them"
    )


def with_overrides(settings: StudySettings, overrides: Sequence[str]) -> StudySettings:
    """Return the settings of a study with some replaced.

    Args:
        settings: The study's.
        overrides: Such as ``["sweep.num_trials=64"]``.

    Raises:
        ConfigError: An override is wrong.
    """
    if not overrides:
        return settings
    raw = apply_overrides(settings.model_dump(mode="json"), overrides, StudySettings)
    try:
        return StudySettings.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        problems = describe(error, StudySettings, lambda key: f"--set {key}")
        raise ConfigError(problems) from None


def reopen(path: Path, settings: StudySettings, fingerprints: Mapping[str, str]) -> StudyFolder:
    """Return the folder of a study to go on with, if it is the study that the settings describe.

    More trials, another budget and what concerns faults, the end or the number of trials at a time
    may change; the new settings are written down. A study that has come to its result is taken up
    again if one of these did change.

    Raises:
        StudyFolderError: It is none, it is finished, or its settings or data were others.
    """
    folder = StudyFolder(path.absolute())
    stored, before = _stored(path, f"--resume {path}")
    old, new = flatten(_with_defaults(stored)), flatten(_public(settings))
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    refused = [
        f"  {key}: was {_shown(old, key)}, is now {_shown(new, key)}"
        for key in changed
        if not _may_change(key, old.get(key), new.get(key))
    ]
    refused += [
        f"  {key}: was {_shown(old, key)}, is now {_shown(new, key)}; a population (scheduler.kind "
        f"{settings.sweep.scheduler.kind}) is trained together, so {reason}"
        for key, reason in _fixed_in_a_population(changed, settings, finished=folder.finished)
    ]
    if before != dict(fingerprints):
        refused.append("  the data: other users, items or interactions than before")
    if refused:
        raise StudyFolderError(
            f"--resume {path}: the study was started with other settings:\n"
            + "\n".join(refused)
            + "\nTake them back to go on with it, or leave --resume out to start a new study. More "
            f"trials and other {', '.join(key.rstrip('.') for key in _MAY_CHANGE)} are accepted"
        )
    if folder.finished:
        if not changed:
            raise StudyFolderError(
                f"--resume {path}: this study has come to its result; see {folder.summary}. Give "
                "it more trials (sweep.num_trials) or another budget to go on with it"
            )
        os.replace(folder.summary, folder.summary.with_name("summary.before.json"))
    folder.checkpoints.mkdir(exist_ok=True)
    if changed:
        _write_settings(folder, settings, before)
    return folder


#: Settings that say nothing about a trial; `sweep.num_trials` may rise.
_MAY_CHANGE = ("sweep.budget.", "sweep.faults.", "sweep.final.", "sweep.max_concurrent")


def _fixed_in_a_population(
    changed: Sequence[str], settings: StudySettings, *, finished: bool
) -> list[tuple[str, str]]:
    """Return what may change in other studies only, each with the reason."""
    if settings.sweep.scheduler.trials_join_later:
        return []
    joins = [(key, "no trial can join it later") for key in changed if key == "sweep.num_trials"]
    ended = [key for key in changed if key.startswith("sweep.budget.") and finished]
    return joins + [(key, "one that has ended cannot go on") for key in ended]


def _may_change(key: str, old: Any, new: Any) -> bool:
    if key == "sweep.num_trials":
        return (new or DEFAULT_TRIALS) >= (old or DEFAULT_TRIALS)
    return key.startswith(_MAY_CHANGE)


def write_json(path: Path, content: Any) -> None:
    """Write a file that is either whole or not there."""
    _replace(path, json.dumps(content, indent=2, default=str) + "\n")


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _public(settings: StudySettings) -> dict[str, Any]:
    """Return the settings as JSON values, without the password of the tracking server."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    values["mlflow"]["tracking_uri"] = mask_uri(settings.mlflow.tracking_uri)
    return values


def _with_defaults(stored: Any) -> Any:
    """Settings as they were written down, and what has become a setting since by its default."""
    try:
        return _public(StudySettings.model_validate_json(json.dumps(stored)))
    except ValidationError:
        return stored  # a setting is no more, or another rule holds: the comparison will show it


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"
