"""Earlier studies, read from their folders: what a new one starts from."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hbpr.errors import ConfigError, SpaceError
from hbpr.settings.load import load_trial, with_values
from tune.beginning import Beginning, EarlierTrial
from tune.dimensions import same, setting_of
from tune.folder import StudyFolder
from tune.journal import JournalTrial, read_journal
from tune.settings import StudySettings
from tune.space import Space
from tune.starting import PLACE, check_point, plain, settings_point, written_points

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EarlierStudy:
    """A study on disk, finished or not.

    Attributes:
        folder: Its folder.
        settings: What it searched.
        trials: Its trials by number.
    """

    folder: Path
    settings: StudySettings
    trials: Sequence[JournalTrial]

    def finished(self) -> list[JournalTrial]:
        """Return the trials that ran to their end with their own settings, best first.

        Copies of a population did not: other settings trained their first epochs.
        """
        ended = [t for t in self.trials if t.state == "COMPLETE" and t.parent is None]
        return sorted(ended, key=lambda trial: (-(trial.value or 0.0), trial.number))


def read_study(folder: str | Path, place: str) -> EarlierStudy:
    """Read a study's folder.

    Args:
        folder: A folder that `hbpr tune` named.
        place: Where it was written, for messages.

    Raises:
        ConfigError: It is no study's folder, or one of other settings than are known today.
    """
    path = StudyFolder(Path(folder).absolute())
    try:
        raw = json.loads(path.settings.read_text())["settings"]
        settings = StudySettings.model_validate_json(json.dumps(raw))
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise ConfigError(
            f"{place}: {folder} is not the folder of a study that can be read ({error})"
        ) from error
    return EarlierStudy(path.path, settings, read_journal(path.path, settings.search_space()))


def read_beginning(settings: StudySettings, space: Space) -> Beginning:
    """Collect what a new study starts from; a resumed one keeps what it began with.

    Raises:
        ConfigError: A folder or file cannot be read, or an earlier study has another metric.
        SpaceError: A point is wrong, there are more points than trials, or an earlier study has no
            trial that the space contains.
    """
    sweep = settings.sweep
    points = _points(settings, space)
    if len(points) > settings.n_trials():
        raise SpaceError(
            f"{PLACE}: {len(points)} points for {settings.n_trials()} trials; raise num_trials"
        )
    earlier = [trial for folder in sweep.start_from for trial in _known(folder, settings, space)]
    return Beginning(tuple(points), tuple(earlier))


def _points(settings: StudySettings, space: Space) -> list[dict[str, Any]]:
    written = dict(written_points(settings.sweep.start_with))
    points: list[dict[str, Any]] = []
    for i, entry in enumerate(settings.sweep.start_with):
        place = f"{PLACE}: entry {i + 1}"
        if place in written:
            found = [check_point(space, written[place], place)]
        elif entry == "defaults":
            found = [settings_point(space, settings.base_trial(), f"{place}, defaults")]
        elif "file" in entry:
            found = [settings_point(space, load_trial(entry["file"]), f"{place}, {entry['file']}")]
        else:
            found = _best(space, entry["best"], place)
        points += [point for point in found if point not in points]
    return points


def _best(space: Space, best: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """Return the points of the best k trials of a study."""
    study = read_study(best["study"], place)
    finished = study.finished()[: best.get("k", 1)]
    if not finished:
        raise SpaceError(f"{place}: no trial of {best['study']} came to its end")
    base = study.settings.base_trial()
    return [settings_point(space, with_values(base, t.values), place) for t in finished]


def _known(folder: str, settings: StudySettings, space: Space) -> list[EarlierTrial]:
    """Return the finished trials of a study that the space could have made itself.

    Every searched setting must be in its dimension, and every setting that only the earlier study
    searched must be as it is now.
    """
    place = "start_from"
    study = read_study(folder, place)
    then, now = study.settings, settings
    if then.sweep.metric != now.sweep.metric:
        raise ConfigError(
            f"{place}: {folder} compares {then.sweep.metric}, this study {now.sweep.metric}"
        )
    base = now.base_trial()
    taken = []
    for trial in study.finished():
        had = with_values(then.base_trial(), trial.values)
        whole = {d.key: plain(setting_of(had, d.key)) for d in space.dimensions}
        wanted = space.active(whole)
        values = space.inside(wanted)
        others = {key: value for key, value in trial.values.items() if key not in space.keys}
        unlike = [k for k, value in others.items() if not same(value, plain(setting_of(base, k)))]
        alike = with_values(base, values).data == had.data
        if values.keys() == wanted.keys() and alike and not unlike and space.allows(values):
            taken.append(EarlierTrial(str(study.folder), values, float(trial.value or 0.0)))
    if not taken:
        raise SpaceError(
            f"{place}: none of the {len(study.finished())} finished trials of {folder} is a point "
            "of this space on these data. Start with its best settings instead: "
            f"start_with: [{{best: {{study: {folder}}}}}]"
        )
    logger.info("%s: %d of %d finished trials", folder, len(taken), len(study.finished()))
    return sorted(taken, key=lambda trial: trial.value)
