"""Earlier studies, read from MLflow: what a new one starts from where their folders are gone.

A reference is ``mlflow:EXPERIMENT``, all studies of an experiment, or ``mlflow:EXPERIMENT/STUDY``.
"""

import json
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from hbpr.errors import ConfigError, FormatError, SpaceError
from hbpr.names import best_name
from hbpr.settings.stored import up_to_date
from hbpr.tracking import tags as tag
from hbpr.tracking.records import Parent, TrialRecord
from hbpr.tracking.run_log import as_text
from hbpr.tracking.store import mask_uri, open_client, tracking_error
from tune.settings import StudyPlan, StudySettings, plan_of_started
from tune.space import Space
from tune.space.dimensions import Dimension
from tune.space.words import nearest
from tune.storage.names import SETTINGS
from tune.tracking.runs import STATUS_OF, find_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

#: What a reference to records begins with; anything else is a folder.
PREFIX: Final = "mlflow:"
_STATES: Final = {status: state for state, status in STATUS_OF.items()}


@dataclass(frozen=True)
class EarlierStudy:
    """A study that was run before, finished or not.

    Attributes:
        name: Its folder, or its reference in MLflow.
        plan: What it searched.
        trials: Its trials by number; read from MLflow, they have values and states but no reports.
    """

    name: str
    plan: StudyPlan
    trials: Sequence[TrialRecord]

    def finished(self) -> list[TrialRecord]:
        """Return the trials that ran to their end with their own settings, best first.

        Copies of a population did not: other settings trained their first epochs.
        """
        ended = [t for t in self.trials if t.state == "COMPLETE" and t.parent is None]
        return sorted(ended, key=lambda trial: (-(trial.value or 0.0), trial.number))


def read_recorded(reference: str, tracking_uri: str, place: str) -> list[EarlierStudy]:
    """Read the studies that a reference names, oldest first.

    Of a whole experiment, studies that cannot be read are left out with a warning.

    Args:
        reference: ``mlflow:EXPERIMENT`` or ``mlflow:EXPERIMENT/STUDY``.
        tracking_uri: Where the new study is recorded, and the earlier ones were.
        place: Where the reference was written, for messages.

    Raises:
        ConfigError: There is no such experiment or study, or none that can be read.
        TrackingError: MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    client = open_client(tracking_uri, create=False)
    try:
        experiment, experiment_id, wanted = _find(client, reference, tracking_uri, place)
        studies: dict[str, list[Run]] = {}
        for run in find_runs(client, experiment_id):
            study_id = run.data.tags.get(tag.STUDY_ID)
            if study_id is not None and wanted in (None, study_id):
                studies.setdefault(study_id, []).append(run)
        found, problem = [], "it holds no study of hbpr"
        for study_id, runs in sorted(studies.items()):
            name = f"{PREFIX}{experiment}/{study_id}"
            try:
                found.append(_study(client, name, runs))
            except (ValueError, OSError, MlflowException, SpaceError) as error:
                problem = f"{name} cannot be read: {error}"
                logger.warning("%s: %s; it is left out", place, problem)
    except MlflowException as error:
        raise tracking_error(tracking_uri, error) from error
    if not found:
        if wanted is not None and not studies:
            problem = f"experiment {experiment!r} holds no study {wanted!r}"
        raise ConfigError(f"{place}: {reference}, in MLflow at {mask_uri(tracking_uri)}: {problem}")
    return found


def _find(
    client: "MlflowClient", reference: str, tracking_uri: str, place: str
) -> tuple[str, str, str | None]:
    """Return name and id of the experiment, and the id of the study if one is named."""
    name = reference.removeprefix(PREFIX)
    above, slash, study_id = name.rpartition("/")
    tries = [(name, None)] + ([(above, study_id)] if slash and re.search(r"\w", study_id) else [])
    for experiment, study in tries:
        there = client.get_experiment_by_name(experiment) if experiment else None
        if there is not None and there.lifecycle_stage == "active":
            return experiment, str(there.experiment_id), study
    known = [experiment.name for experiment in client.search_experiments()]
    raise ConfigError(
        f"{place}: {reference}: MLflow at {mask_uri(tracking_uri)} has no experiment "
        f"{name!r}{nearest(name, known)}"
    )


def _study(client: "MlflowClient", name: str, runs: "Sequence[Run]") -> EarlierStudy:
    """Read one study.

    Raises:
        ValueError: Its own run or its settings are missing or not those of today.
    """
    own = [run for run in runs if run.data.tags.get(tag.KIND) == "study"]
    if not own:
        raise ValueError("its own run is missing")
    try:
        raw = json.loads(_settings_text(client, own[0]))
        number = int(own[0].data.tags.get(tag.SETTINGS_FORMAT, 1))
        raw = up_to_date(raw, StudySettings, number)
        settings = StudySettings.model_validate_json(json.dumps(raw))
    except FormatError as error:
        raise ValueError(str(error)) from error
    except ValidationError as error:
        raise ValueError(f"its settings are not those of today: {error}") from error
    plan = plan_of_started(settings)
    trials = [
        _trial(run, plan.space, settings.sweep.metric)
        for run in runs
        if run.data.tags.get(tag.KIND) == "trial"
    ]
    return EarlierStudy(name, plan, sorted(trials, key=lambda trial: trial.number))


def _settings_text(client: "MlflowClient", run: "Run") -> str:
    """Return the settings as JSON: the tag, or where they are too long for it the file."""
    text = run.data.tags.get(tag.SETTINGS, "")
    try:
        json.loads(text)
    except ValueError:
        with tempfile.TemporaryDirectory(prefix="hbpr-settings-") as folder:
            path = client.download_artifacts(run.info.run_id, SETTINGS, folder)
            return Path(path).read_text(encoding="utf-8")
    return str(text)


def _trial(run: "Run", space: Space, metric: str) -> TrialRecord:
    tags = run.data.tags
    parent = None
    if tag.PARENT in tags:
        keys = (tag.PARENT, tag.PARENT_EPOCH, tag.REPLACES)
        parent = Parent(*(int(tags[key]) for key in keys))
    value = run.data.metrics.get(best_name(metric))
    return TrialRecord(
        number=int(tags[tag.TRIAL]),
        values=_values(run.data.params, space),
        state=_STATES.get(run.info.status, "RUNNING") if value is not None else "FAIL",
        value=value,
        reports={},
        parent=parent,
    )


def _values(params: Mapping[str, str], space: Space) -> dict[str, Any]:
    """Read values from the text that MLflow keeps: text stays text, all else was JSON.

    Raises:
        ValueError: A value is not in the dimension that it was drawn from.
    """
    values: dict[str, Any] = {}
    for dimension in space.dimensions:
        if dimension.is_section:
            values |= _choice_of(params, dimension)
            continue
        if dimension.key not in params:
            continue
        text = params[dimension.key]
        readings: list[Any] = [text]
        try:
            readings.append(json.loads(text))
        except ValueError:
            logger.debug("%s: %s is text", dimension.key, text)
        fitting = [value for value in readings if dimension.domain.contains(value)]
        if not fitting:
            raise ValueError(f"{dimension.key}={text} is not in its dimension")
        values[dimension.key] = fitting[0]
    return values


def _choice_of(params: Mapping[str, str], dimension: Dimension) -> dict[str, Any]:
    """Return the choice of a section whose settings were recorded; nothing where none was.

    Raises:
        ValueError: No choice has these settings.
    """
    recorded = {key: text for key, text in params.items() if key in dimension.settings}
    if not recorded:
        return {}
    for value in dimension.domain.probes():
        if recorded == {key: as_text(inner) for key, inner in dimension.named(value).items()}:
            return {dimension.key: value}
    raise ValueError(f"{dimension.key}: {recorded} is none of its choices")
