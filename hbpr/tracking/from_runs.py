"""Records of studies and trials, made of what MLflow answered."""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from hbpr.names import baseline_name, best_name, folder_name, lower_is_better
from hbpr.tracking import tags as tag
from hbpr.tracking.findings import (
    BaselineRecord,
    Finalist,
    Findings,
    Winner,
)
from hbpr.tracking.findings_text import Validation, compared_of, importance_of, validation_of
from hbpr.tracking.goals import Goals, Limit, Objective
from hbpr.tracking.histories import Curve
from hbpr.tracking.records import (
    Exam,
    Identity,
    Origin,
    Parent,
    RunRecord,
    StudyRecord,
    Times,
    Tracking,
    TrialRecord,
)

if TYPE_CHECKING:
    from mlflow.entities import Run

#: A trial's state by the status of its run.
_STATES: Final = {
    "FINISHED": "COMPLETE",
    "KILLED": "PRUNED",
    "FAILED": "FAIL",
    "RUNNING": "RUNNING",
    "SCHEDULED": "WAITING",
}
#: What names of metrics that other tools log say of their direction.
_LOW: Final = ("loss", "error", "rmse", "mae", "mse")


def metric_is_low(metric: str, runs: "Sequence[Run]" = ()) -> bool:
    """Whether less of a metric is better: by its name, or as Optuna's callback tagged the runs.

    Example:
        >>> metric_is_low("val/ndcg_at_10"), metric_is_low("train/loss"), metric_is_low("val_rmse")
        (False, True, True)
    """
    directions = {
        _direction(run.data.tags["direction"], metric)
        for run in runs
        if "direction" in run.data.tags and metric in run.data.metrics
    }
    if directions and not metric.startswith(("val/", "test/")):
        return all("MIN" in direction.upper() for direction in directions)
    return lower_is_better(metric) or any(word in metric.lower() for word in _LOW)


def _direction(tag_text: str, metric: str) -> str:
    """Return a metric's direction from Optuna's tag, which lists those of several objectives.

    Example:
        >>> _direction("['MINIMIZE', 'MAXIMIZE']", "value_1"), _direction("MINIMIZE", "value")
        ('MAXIMIZE', 'MINIMIZE')
    """
    directions = tag_text.strip("[]").split(", ")
    place = metric.rpartition("_")[2]
    return directions[int(place) if place.isdigit() and int(place) < len(directions) else 0].strip(
        "'"
    )


def ends_of(run: "Run", metric: str) -> Curve | None:
    """Return the best and the last point of a metric, which hbpr's runs have without a history."""
    points = {point.key: point for point in run.data._metric_objs}
    best, last = points.get(best_name(metric)), points.get(metric)
    if best is None or last is None or not metric.startswith("val/"):
        return None
    both = {last.step: last.value, best.step: best.value}
    return {step: value for step, value in sorted(both.items()) if math.isfinite(value)}


def trial_of(run: "Run", reports: Curve, low: bool) -> TrialRecord:
    """Return a trial, or a run of no study, whose number is -1."""
    tags, info = run.data.tags, run.info
    parent = None
    if tag.PARENT in tags:
        keys = (tag.PARENT, tag.PARENT_EPOCH, tag.REPLACES)
        parent = Parent(*(int(tags[key]) for key in keys))
    return TrialRecord(
        number=int(tags.get(tag.TRIAL, -1)),
        values={name: value_of(text) for name, text in run.data.params.items()},
        state=_STATES.get(info.status, info.status),
        value=(min if low else max)(reports.values(), default=None),
        reports=reports,
        parent=parent,
        run_id=info.run_id,
        run=RunRecord(
            info.run_name or info.run_id[:8],
            tags.get(tag.KIND, "run"),
            info.start_time,
            info.end_time,
            dict(run.data.metrics),
            _exam(tags),
            tags.get(tag.NODE, ""),
        ),
    )


def _exam(tags: Mapping[str, str]) -> Exam:
    n_users, n_items = (int(tags[key]) if key in tags else None for key in (tag.USERS, tag.ITEMS))
    key = tags.get(tag.EXAM) or tags.get(tag.FINGERPRINT, "")
    return Exam(key, tags.get(tag.DATA, ""), tags.get(tag.SPLIT, ""), n_users, n_items)


def value_of(text: str) -> Any:
    """Turn a recorded setting back into what it was; text that is no JSON stays text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def study_of(
    identity: Identity,
    uri: str,
    own: "Run | None",
    trials: list[TrialRecord],
    goal: Objective,
    repeats: "Sequence[tuple[Run, Curve]]" = (),
) -> StudyRecord:
    """Put a study together from its trials, its own run if it has one, and its repeats."""
    if own is None:
        goals = Goals((goal,))
        return StudyRecord(identity, Tracking(uri), goals, tuple(trials))
    tags, metrics = own.data.tags, own.data.metrics
    settings = _settings(tags)
    front = [int(number) for number in tags.get(tag.FRONT, "").split(",") if number]
    ended = own.info.end_time
    # What was compared, was by the study's own metric, and says nothing of another.
    own_metric = tags.get(tag.MONITOR, goal.metric) == goal.metric
    compared = compared_of(tags.get(tag.COMPARED, "")) if own_metric else ()
    better = tags.get(tag.BETTER, "") if own_metric and not compared else ""
    validation = validation_of(tags.get(tag.VALIDATION, ""))
    return StudyRecord(
        replace(identity, folder=_folder(tags, settings, identity)),
        Tracking(uri, own.info.run_id),
        _goals(settings, goal),
        tuple(trials),
        settings=settings,
        winner=_winner(tags, metrics, trials, validation),
        baselines=_baselines(tags, metrics, validation),
        findings=Findings(
            finalists=_finalists(trials, repeats, low=goal.mode == "min"),
            comparisons=compared,
            importance=importance_of(tags.get(tag.IMPORTANCE, "")),
            front=tuple(front),
            better=tuple(filter(None, better.split(", "))),
        ),
        times=None if ended is None else Times((ended - own.info.start_time) / 1000),
        origin=Origin({}, _texts(tags.get(tag.VERSIONS, "")), _exam(tags)),
    )


def _settings(tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of a study; empty where they were too long for their tag."""
    settings = value_of(tags.get(tag.SETTINGS, ""))
    return settings if isinstance(settings, dict) else {}


def _folder(tags: Mapping[str, str], settings: Mapping[str, Any], identity: Identity) -> str | None:
    """Return the folder that a study recorded, or where its settings put it; None: not known."""
    if tag.FOLDER in tags or not identity.study_id:
        return tags.get(tag.FOLDER)
    storage = settings.get("sweep", {}).get("storage")
    name = folder_name(identity.experiment, ".+-", "study")
    return f"{storage}/{name}/{identity.study_id}" if storage else None


def _texts(text: str) -> dict[str, str]:
    found = value_of(text)
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def with_measured(record: StudyRecord, found: Mapping[str, Mapping[str, Curve]]) -> StudyRecord:
    """Return a study with what its trials measured at each evaluation.

    Args:
        record: The study.
        found: Curves by metric and run id; what was measured once holds for all epochs after.
    """

    def at(curve: Curve, epoch: int) -> float | None:
        before = [step for step in curve if step <= epoch]
        return curve[max(before)] if before else next(iter(curve.values()), None)

    def measured(trial: TrialRecord) -> dict[int, dict[str, float]]:
        curves = {name: by_run.get(str(trial.run_id), {}) for name, by_run in found.items()}
        values = {
            epoch: {name: at(curve, epoch) for name, curve in curves.items()}
            for epoch in trial.reports
        }
        return {
            epoch: {name: value for name, value in each.items() if value is not None}
            for epoch, each in values.items()
        }

    trials = tuple(replace(trial, measured=measured(trial)) for trial in record.trials)
    return replace(record, trials=trials)


def _finalists(
    trials: Sequence[TrialRecord], repeats: "Sequence[tuple[Run, Curve]]", *, low: bool
) -> tuple[Finalist, ...]:
    """Return the trials that were repeated, best first, with the values of their repeats.

    A trial's own value does not count: it was chosen for it, so it was also lucky.

    Args:
        trials: Of the study.
        repeats: Runs with the curve of the metric.
        low: Lower is better.
    """
    best = min if low else max
    numbers = {trial.number for trial in trials}
    found: dict[int, dict[int, tuple[float, int]]] = {}
    for run, curve in repeats:
        number = int(run.data.tags.get(tag.REPEAT_OF, -1))
        if number in numbers and curve:
            value = best(curve.values())
            epoch = next(step for step, each in curve.items() if each == value)
            found.setdefault(number, {})[int(run.data.tags.get(tag.SEED, -1))] = value, epoch
    finalists = []
    for number, by_seed in found.items():
        seeds = tuple(sorted(by_seed))
        values = tuple(by_seed[seed][0] for seed in seeds)
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        epoch = int(statistics.median_low(epoch for _, epoch in by_seed.values()))
        mean = statistics.fmean(values)
        finalists.append(Finalist(number, values, mean, deviation, epoch, {}, seeds))
    return tuple(sorted(finalists, key=lambda each: each.mean, reverse=not low))


def _goals(settings: Mapping[str, Any], goal: Objective) -> Goals:
    """Return the study's goals if the metric is its first; else the metric alone."""
    sweep = settings.get("sweep", {})
    objectives = tuple(
        Objective(each["metric"], each["mode"]) for each in sweep.get("objectives") or ()
    )
    if [each.metric for each in objectives[:1]] not in ([], [goal.metric]):
        objectives = ()
    limits = (sweep.get("limits") or {}).items()
    return Goals(
        objectives or (goal,),
        tuple(Limit(name, each.get("min"), each.get("max")) for name, each in limits),
    )


def _winner(
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    trials: Sequence[TrialRecord],
    validation: Validation,
) -> Winner | None:
    if tag.BEST_TRIAL not in tags:
        return None
    number = int(tags[tag.BEST_TRIAL])
    trial = next((each for each in trials if each.number == number), None)
    values = value_of(tags.get(tag.BEST_VALUES, ""))
    return Winner(
        number,
        values if isinstance(values, dict) else {} if trial is None else trial.values,
        float(tags[tag.BEST_VALUE]),
        0 if trial is None else trial.best_epoch or 0,
        validation=validation.winner,
        test={name: value for name, value in metrics.items() if name.startswith("test/")},
        n_users=validation.n_users,
    )


def _baselines(
    tags: Mapping[str, str], metrics: Mapping[str, float], validation: Validation
) -> tuple[BaselineRecord, ...]:
    if tag.BEST_TRIAL not in tags:
        return ()
    found = []
    for name, label in (validation.labels or _labels()).items():
        prefix = baseline_name("/", name)
        test = {
            f"test/{metric.removeprefix(prefix)}": value
            for metric, value in metrics.items()
            if metric.startswith(prefix)
        }
        own = validation.baselines.get(name, {})
        if test or own:
            found.append(BaselineRecord(name, label, own, test))
    return tuple(found)


def _labels() -> dict[str, str]:
    """Return the labels of all baselines, for studies that did not record those of theirs.

    That takes PyTorch, seconds to import.
    """
    from hbpr.baselines import BASELINES

    return {name: baseline.label for name, baseline in BASELINES.items()}
