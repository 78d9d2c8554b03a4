"""Earlier studies, from their folders or from MLflow: what a new one starts from."""

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hbpr.errors import ConfigError, SpaceError, StudyError
from hbpr.formats import counted
from hbpr.settings.load import dotted, load_trial, with_values
from hbpr.tracking.records import TrialRecord
from tune.settings import StudyPlan, StudySettings, plan_of_started
from tune.space.dimensions import setting_of
from tune.space.domains import same
from tune.space.points import PLACE, check_point, plain, settings_point, value_in, written_points
from tune.storage.beginning import Beginning, EarlierTrial
from tune.storage.bring import at_hand
from tune.storage.folder import read_settings
from tune.warm_start.from_mlflow import PREFIX, EarlierStudy, read_recorded
from tune.warm_start.portfolio import portfolio_points

logger = logging.getLogger(__name__)


def read_study(folder: str | Path, place: str) -> EarlierStudy:
    """Read a study by its folder or URL.

    Args:
        folder: A folder or URL that `hbpr tune` named.
        place: Where it was written, for messages.

    Raises:
        ConfigError: It is no study's folder, or one of other settings than are known today.
    """
    from tune.storage.trials import read_journal  # Optuna

    try:
        with at_hand(folder) as study:
            plan = plan_of_started(read_settings(study.path)[0])
            return EarlierStudy(study.told, plan, read_journal(study.path, plan.space))
    except StudyError as error:
        raise ConfigError(f"{place}: {error}") from error


def read_studies(reference: str, settings: StudySettings, place: str) -> list[EarlierStudy]:
    """Read the earlier studies that a new one names.

    Args:
        reference: A study's folder, or ``mlflow:EXPERIMENT`` or ``mlflow:EXPERIMENT/STUDY``.
        settings: The new study's: where its records are, and what it compares.
        place: Where the reference was written, for messages.

    Raises:
        ConfigError: There is none, or all of them compare another metric.
        TrackingError: MLflow does not answer.
    """
    if not reference.startswith(PREFIX):
        return [read_study(reference, place)]
    return read_recorded(reference, settings.mlflow.tracking_uri, place)


def read_beginning(plan: StudyPlan) -> Beginning:
    """Collect what a new study starts from; a resumed one keeps what it began with.

    Raises:
        ConfigError: A folder or file cannot be read, or an earlier study has another metric.
        SpaceError: A point is wrong, there are more points than trials, or an earlier study has no
            trial that the space contains.
    """
    points = _points(plan)
    if len(points) > plan.n_trials:
        raise SpaceError(
            f"{PLACE}: {len(points)} points for {counted(plan.n_trials, 'trial')}; raise num_trials"
        )
    start_from = plan.settings.sweep.start_from
    earlier = [trial for name in start_from for trial in _known(name, plan)]
    return Beginning(tuple(points), tuple(earlier))


def _points(plan: StudyPlan) -> list[dict[str, Any]]:
    space, start_with = plan.space, plan.settings.sweep.start_with
    written = dict(written_points(start_with))
    points: list[dict[str, Any]] = []
    for i, entry in enumerate(start_with):
        place = f"{PLACE}: entry {i + 1}"
        if place in written:
            found = [check_point(space, written[place], place)]
        elif entry == "defaults":
            found = [settings_point(space, plan.base, f"{place}, defaults")]
        elif entry == "portfolio":
            room = max(plan.n_trials - len(points), 0)
            found = portfolio_points(space, plan.base, place)[:room]
        elif "file" in entry:
            found = [settings_point(space, load_trial(entry["file"]), f"{place}, {entry['file']}")]
        else:
            found = _best(plan, entry["best"], place)
        points += [point for point in found if point not in points]
    return points


def _best(plan: StudyPlan, best: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """Return the points of the best k trials of a study, or of the studies of an experiment."""
    studies = read_studies(best["study"], plan.settings, place)
    if len(studies) > 1:
        studies = _comparable(studies, plan.settings.sweep.metric, best["study"], place)
    finished = [(study, trial) for study in studies for trial in study.finished()]
    if not finished:
        raise SpaceError(f"{place}: no trial of {best['study']} came to its end")
    finished.sort(key=lambda each: -(each[1].value or 0.0))  # stable: the earlier study first
    return [
        settings_point(plan.space, with_values(study.plan.base, trial.values), place)
        for study, trial in finished[: best.get("k", 1)]
    ]


def _known(name: str, plan: StudyPlan) -> list[EarlierTrial]:
    """Return the finished trials of earlier studies that the space could have made itself.

    The others are counted, and left out with the reason.
    """
    place = "start_from"
    studies = read_studies(name, plan.settings, place)
    taken, n_finished = [], 0
    reasons: Counter[str] = Counter()
    for study in _comparable(studies, plan.settings.sweep.metric, name, place):
        for trial in study.finished():
            n_finished += 1
            values, reason = _point(study.plan, trial, plan)
            if reason is None:
                taken.append(EarlierTrial(study.name, values, float(trial.value or 0.0)))
            else:
                reasons[reason] += 1
    left_out = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common())
    if not taken:
        raise SpaceError(
            f"{place}: none of the {n_finished} finished trials of {name} is a point of this space "
            f"on these data ({left_out or 'there are none'}). Start with its best settings "
            f"instead: start_with: [{{best: {{study: {name}}}}}]"
        )
    logger.info("%s: %d of %d finished trials are known", name, len(taken), n_finished)
    if reasons:
        logger.warning(
            "%s: %d of the %d finished trials of %s are left out (%s)",
            place,
            reasons.total(),
            n_finished,
            name,
            left_out,
        )
    return sorted(taken, key=lambda trial: trial.value)


def _comparable(
    studies: list[EarlierStudy], metric: str, name: str, place: str
) -> list[EarlierStudy]:
    """Return the studies that compare a metric; the others are left out with a warning.

    Raises:
        ConfigError: There is none.
    """
    fitting = [study for study in studies if study.plan.settings.sweep.metric == metric]
    if not fitting:
        others = ", ".join(sorted({study.plan.settings.sweep.metric for study in studies}))
        raise ConfigError(f"{place}: {name} compares {others}, this study {metric}")
    for study in studies:
        if study not in fitting:
            other = study.plan.settings.sweep.metric
            logger.warning("%s: %s is left out: it compares %s", place, study.name, other)
    return fitting


def _point(
    then: StudyPlan, trial: TrialRecord, now: StudyPlan
) -> tuple[dict[str, Any], str | None]:
    """Return an earlier trial's values as a point of the space, or why it is none.

    Every searched setting must be in its dimension, and every setting that only the earlier study
    searched must be as it is now.
    """
    base, space = now.base, now.space
    had = with_values(then.base, trial.values)
    whole = {d.key: value_in(had, d) for d in space.dimensions}
    wanted = space.active(whole)
    values = space.inside(wanted)
    outside = [key for key in wanted if key not in values]
    if outside:
        return {}, f"{', '.join(outside)} outside of its dimension"
    own = space.keys | dotted(values).keys()
    others = {key: value for key, value in dotted(trial.values).items() if key not in own}
    unlike = [k for k, value in others.items() if not same(value, plain(setting_of(base, k)))]
    if unlike:
        return {}, f"{', '.join(unlike)} is not searched now and had another value"
    if with_values(base, values).data != had.data:
        return {}, "other data"
    if not space.allows(values):
        return {}, "ruled out by the constraints"
    return values, None
