"""Going on with a study: which one, whether it is the one that the settings describe, and how."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hbpr.errors import ConfigError, StudyFolderError
from hbpr.settings.load import apply_overrides, dotted, with_values
from hbpr.settings.problems import describe
from tune.settings import DEFAULT_TRIALS, StudySettings
from tune.storage import names
from tune.storage.folder import (
    StudyFolder,
    experiment_folder,
    public_settings,
    stored_settings,
    studies_in,
    write_settings,
)


def newest_unfinished(settings: StudySettings) -> StudyFolder:
    """Return the newest study of the experiment that has not come to its result.

    Raises:
        StudyFolderError: There is none.
    """
    above = experiment_folder(settings)
    for folder in reversed(studies_in(above)):
        if not folder.finished:
            return folder
    raise StudyFolderError(
        f"--resume: no unfinished study of experiment {settings.mlflow.experiment_name!r} in "
        f"{above}; leave --resume out to start one"
    )


def unfinished_like(settings: StudySettings) -> StudyFolder | None:
    """Return the experiment's unfinished study that has these settings; None: there is none.

    A job that is started again goes on by this: its study has the settings of the job.

    Raises:
        StudyFolderError: Several could be meant, or the only ones there have other settings.
    """
    unfinished = [each for each in studies_in(experiment_folder(settings)) if not each.finished]
    differences = {folder: _differences(settings, folder.path) for folder in unfinished}
    same = [folder for folder, lines in differences.items() if not lines]
    if len(same) > 1:
        raise StudyFolderError(
            f"--resume-or-start: {len(same)} unfinished studies of experiment "
            f"{settings.mlflow.experiment_name!r} have these settings:\n"
            + "\n".join(f"  {folder.path}" for folder in same)
            + "\nName the one to go on with: --resume-or-start STUDY, the last part of its folder"
        )
    if same or not unfinished:
        return same[0] if same else None
    newest = unfinished[-1]
    raise StudyFolderError(
        f"--resume-or-start: the unfinished study {newest.path} has other settings:\n"
        + "\n".join(differences[newest])
        + "\nTake them back to go on with it; or start a new study beside it: leave "
        "--resume-or-start out, or name the new study: --resume-or-start STUDY"
    )


def study_named(settings: StudySettings, study_id: str) -> StudyFolder | None:
    """Return the experiment's study of that id; None: there is none yet.

    Raises:
        StudyFolderError: No study can have that id, or the one that has it has other settings.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", study_id):
        raise StudyFolderError(
            f"--resume-or-start {study_id}: expected the id of a study: up to 100 letters, digits, "
            "dots, dashes and underscores"
        )
    folder = StudyFolder(experiment_folder(settings) / study_id)
    if not folder.settings.is_file():
        return None
    lines = _differences(settings, folder.path)
    if lines:
        raise StudyFolderError(
            f"--resume-or-start: the study {folder.path} has other settings:\n"
            + "\n".join(lines)
            + "\nTake them back to go on with it; or start a new study beside it, by another name: "
            "--resume-or-start STUDY"
        )
    return folder


def has_more_to_do(folder: StudyFolder, settings: StudySettings) -> bool:
    """Return whether a study has not come to its result, or was given more trials or budget."""
    if not folder.finished:
        return True
    return bool(_changed(_old(folder.path), dotted(public_settings(settings))))


def check_is_study(path: Path) -> None:
    """Check, before anything is read or made, that there is a study to resume.

    Raises:
        StudyFolderError: The path is not the folder of a study.
    """
    stored_settings(path, f"--resume {path}")


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


def with_sweep(settings: StudySettings, sweep: Mapping[str, Any]) -> StudySettings:
    """Return the settings of a study with keys of its ``sweep`` section replaced.

    Args:
        settings: The study's.
        sweep: Such as ``{"num_trials": 64, "budget": {"wall_s": 60}}``; what a mapping leaves out
            stays.

    Raises:
        ConfigError: A key is unknown, or a value breaks its rule.
    """
    return with_values(settings, {f"sweep.{key}": value for key, value in sweep.items()})


def _differences(settings: StudySettings, path: Path) -> list[str]:
    """Say what keeps a study from being the one with these settings."""
    try:
        return _refused(settings, _old(path))
    except StudyFolderError as error:  # a damaged one, or one of another version
        return [f"  {error}"]


def reopen(path: Path, settings: StudySettings, fingerprints: Mapping[str, str]) -> StudyFolder:
    """Return the folder of a study to go on with, if it is the study that the settings describe.

    More trials, another budget and what concerns faults, the end or the number of trials at a time
    may change; the new settings are written down. A study that has come to its result is taken up
    again if one of these did change.

    Raises:
        StudyFolderError: It is none, it is finished, or its settings or data were others.
    """
    folder = StudyFolder(path.absolute())
    _, before = stored_settings(path, f"--resume {path}")
    old, new = _old(path), dotted(public_settings(settings))
    changed = _changed(old, new)
    refused = _refused(settings, old)
    refused += [
        f"  {key}: was {_shown(old, key)}, is now {_shown(new, key)}; a population (scheduler.kind "
        f"{settings.sweep.scheduler.kind}) is trained together, so {reason}"
        for key, reason in _fixed_in_a_population(changed, settings, finished=folder.finished)
    ]
    # The keys are settings as they were written then: what was read is told by the fingerprints.
    if sorted(before.values()) != sorted(fingerprints.values()):
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
        os.replace(folder.summary, folder.path / names.SUMMARY_BEFORE)
    folder.checkpoints.mkdir(exist_ok=True)
    if changed:
        write_settings(folder, settings, before)
    return folder


def _old(path: Path) -> dict[str, Any]:
    """Return the settings that a study was started with, by dotted keys."""
    return dotted(_with_defaults(stored_settings(path, f"--resume {path}")[0]))


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]


def _refused(settings: StudySettings, old: Mapping[str, Any]) -> list[str]:
    """Return a line for each setting that is another one than a study was started with."""
    new = dotted(public_settings(settings))
    return [
        f"  {key}: was {_shown(old, key)}, is now {_shown(new, key)}"
        for key in _changed(old, new)
        if not _may_change(key, old.get(key), new.get(key))
    ]


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


def _with_defaults(stored: Any) -> Any:
    """Settings as they were written down, and what has become a setting since by its default."""
    try:
        return public_settings(StudySettings.model_validate_json(json.dumps(stored)))
    except ValidationError:
        return stored  # a setting is no more, or another rule holds: the comparison will show it


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key]) if key in values else "not there"
