"""Going on with a study: which one, whether it is the one that the settings describe, and how."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    public_settings,
    stored_settings,
    studies_in,
    write_settings,
)
from tune.storage.where import (
    experiment_address,
    experiment_folder,
    experiment_name,
    is_store,
)


@contextmanager
def studies_of(settings: StudySettings) -> Iterator[list[StudyFolder]]:
    """Have the studies of the settings' experiment at hand while the body runs, oldest first."""
    if not is_store(settings.sweep.storage):
        yield studies_in(experiment_folder(settings))
        return
    from tune.storage.bring import all_brought

    with all_brought(settings.sweep.storage, experiment_name(settings)) as studies:
        yield studies


def newest_unfinished(settings: StudySettings) -> StudyFolder:
    """Return the newest study of the experiment that has not come to its result.

    Raises:
        StudyFolderError: There is none.
    """
    with studies_of(settings) as studies:
        for folder in reversed(studies):
            if not folder.finished:
                return folder
    raise StudyFolderError(
        f"--resume: no unfinished study of experiment {settings.mlflow.experiment_name!r} in "
        f"{experiment_address(settings)}; leave --resume out to start one"
    )


def unfinished_like(settings: StudySettings) -> StudyFolder | None:
    """Return the experiment's unfinished study that has these settings; None: there is none.

    A job that is started again goes on by this: its study has the settings of the job.

    Raises:
        StudyFolderError: Several could be meant, or the only ones there have other settings.
    """
    with studies_of(settings) as studies:
        unfinished = [each for each in studies if not each.finished]
        differences = {folder: _differences(settings, folder.path) for folder in unfinished}
    same = [folder for folder, lines in differences.items() if not lines]
    if len(same) > 1:
        raise StudyFolderError(
            f"--resume-or-start: {len(same)} unfinished studies of experiment "
            f"{settings.mlflow.experiment_name!r} have these settings:\n"
            + "\n".join(f"  {folder.told}" for folder in same)
            + "\nName the one to go on with: --resume-or-start STUDY, the last part of its folder"
        )
    if same or not unfinished:
        return same[0] if same else None
    newest = unfinished[-1]
    raise StudyFolderError(
        f"--resume-or-start: the unfinished study {newest.told} has other settings:\n"
        + "\n".join(differences[newest])
        + "\nTake them back to go on with it; or start a new study beside it: leave "
        "--resume-or-start out, or name the new study: --resume-or-start STUDY"
    )


@contextmanager
def study_named(settings: StudySettings, study_id: str) -> Iterator[StudyFolder | None]:
    """Have the experiment's study of that id at hand while the body runs; None: there is none yet.

    Raises:
        StudyFolderError: No study can have that id, or the one that has it has other settings.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", study_id):
        raise StudyFolderError(
            f"--resume-or-start {study_id}: expected the id of a study: up to 100 letters, digits, "
            "dots, dashes and underscores"
        )
    with studies_of(settings) as studies:
        found = next((each for each in studies if each.study_id == study_id), None)
        lines = [] if found is None else _differences(settings, found.path)
        if found is not None and lines:
            raise StudyFolderError(
                f"--resume-or-start: the study {found.told} has other settings:\n"
                + "\n".join(lines)
                + "\nTake them back to go on with it; or start a new study beside it, by another "
                "name: --resume-or-start STUDY"
            )
        yield found


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


def reopen(
    path: Path, settings: StudySettings, fingerprints: Mapping[str, str], *, url: str = ""
) -> StudyFolder:
    """Return the folder of a study to go on with, if it is the study that the settings describe.

    More trials, another budget and what concerns faults, the end or the number of trials at a time
    may change; the new settings are written down. A study that has come to its result is taken up
    again if one of these did change.

    Raises:
        StudyFolderError: It is none, it is finished, or its settings or data were others.
    """
    folder = StudyFolder(path.absolute(), url)
    shown = url or path
    _, before = stored_settings(path, f"--resume {shown}")
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
            f"--resume {shown}: the study was started with other settings:\n"
            + "\n".join(refused)
            + "\nTake them back to go on with it, or leave --resume out to start a new study. More "
            f"trials and other {', '.join(key.rstrip('.') for key in _MAY_CHANGE)} are accepted"
        )
    if folder.finished:
        if not changed:
            raise StudyFolderError(
                f"--resume {shown}: this study has come to its result; see "
                f"{folder.told}/{names.SUMMARY}. Give it more trials (sweep.num_trials) or another "
                "budget to go on with it"
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
