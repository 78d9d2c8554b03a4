"""A study's answer: its best trials compared once more, the winner refitted, test scored once."""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hbpr.baselines.choose import choose_baselines
from hbpr.baselines.compare import compare, judge
from hbpr.data.interactions import Interactions
from hbpr.errors import StudyError
from hbpr.formats import counted
from hbpr.settings.load import with_values
from hbpr.tracking.findings import Comparison, Finalist, Stage
from hbpr.tracking.records import TrialRecord
from tune.answer.finalists import by_user, repeat_trial, summarize
from tune.answer.lineage import lineage, schedule_of
from tune.answer.refit import Final, train_winner
from tune.answer.rerun import Repeats, run_repeats
from tune.settings import StudyPlan
from tune.settings.goals import Goals
from tune.storage.folder import StudyFolder
from tune.trial.data import data_of


@dataclass(frozen=True)
class Answer:
    """What a study found.

    Attributes:
        winner: The winning trial.
        value: Its value of the study's metric: the mean over the seeds where it was repeated.
        best_epoch: Epochs of its last training.
        validation: Its validation metrics, means likewise.
        final: It, trained for the last time and scored on the test part.
        finalists: The trials that were repeated, best mean first; empty where none were.
        repeats: Their repeats, and those of trials of which one failed.
        comparisons: The winner against the runner-up and the baselines.
        stages: Settings that the winner's weights went through; only a copy has several.
        n_users: Users that validation metrics are means over.
    """

    winner: TrialRecord
    value: float
    best_epoch: int
    validation: dict[str, float]
    final: Final
    finalists: list[Finalist]
    repeats: Repeats
    comparisons: list[Comparison]
    stages: list[Stage]
    n_users: int


def find_answer(
    plan: StudyPlan,
    trials: Sequence[TrialRecord],
    datasets: Mapping[str, Interactions],
    *,
    metrics_at: Callable[[int, int], dict[str, float]],
    folder: StudyFolder,
    slots: int,
    failure: str | None,
    count: AbstractContextManager[Callable[[int, int], None]],
) -> Answer:
    """Choose the winner, train it for the last time and score it.

    Args:
        plan: The study's.
        trials: All of its trials.
        datasets: Data by data key.
        metrics_at: Recorded validation metrics of a trial's number at an epoch, for a winner whose
            metrics the journal does not have.
        folder: The study's; repeats of finalists are kept in it.
        slots: Trials at a time.
        failure: Why the first failed trial did so, for the message if there is no winner.
        count: Entered while finalists are repeated; its value is called with how many repeats are
            done, and of how many.

    Raises:
        StudyError: No trial can win.
    """
    sweep, base, goals = plan.settings.sweep, plan.base, plan.goals
    best = ranked(trials, failure, goals, folder=folder.path)[: sweep.final.top]
    winner, validation = best[0], {}
    assert winner.value is not None
    assert winner.best_epoch is not None
    value, best_epoch = winner.value, winner.best_epoch
    finalists: list[Finalist] = []
    repeats = Repeats({}, {})
    comparisons: list[Comparison] = []
    if (len(best), sweep.final.seeds) != (1, 1):
        with count as on_progress:
            repeats = run_repeats(
                best,
                base,
                _references(datasets),
                sweep,
                folder=folder.finals,
                slots=slots,
                schedules={t.number: schedule_of(lineage(trials, t.number), base) for t in best},
                on_progress=on_progress,
            )
        finalists = sorted(
            (summarize(number, found, sweep.metric) for number, found in repeats.whole.items()),
            key=lambda finalist: (-finalist.mean, finalist.number),
        )
    if finalists:
        first = finalists[0]
        (winner,) = (trial for trial in best if trial.number == first.number)
        value, best_epoch, validation = first.mean, first.best_epoch, first.metrics
        by_first = by_user(repeats.whole[winner.number])
        for other in finalists[1:2]:
            found = compare(by_first, by_user(repeats.whole[other.number]), f"trial {other.number}")
            comparisons += [found] if found else []
    else:
        validation = winner.metrics or metrics_at(winner.number, best_epoch)
        validation = validation or {sweep.metric: value}
    stages = lineage(trials, winner.number)
    trial_settings = with_values(base, winner.values)
    data = data_of(trial_settings, datasets)
    baselines = choose_baselines(data, trial_settings.training)
    judged = [
        (each, judge(each.fit(data.train), data, trial_settings.training)) for each in baselines
    ]
    own = repeats.whole[winner.number] if finalists else []
    if not own and any(metrics[sweep.metric] > value for _, (_, _, metrics) in judged):
        # Whether it really ranks above the winner must not stay open: once more, user by user.
        schedule = schedule_of(stages, base)
        own = [repeat_trial(trial_settings, data, sweep.resources.cpu, schedule)]
    for baseline, (users, values, _) in judged if own else ():
        beside = compare(by_user(own), (users, values), baseline.label)
        comparisons += [beside] if beside else []
    final = train_winner(
        trial_settings,
        data,
        epochs=best_epoch,
        validation=validation,
        refit=sweep.final.refit == "train+validation",
        threads=sweep.resources.cpu,
        baselines=[(each, metrics) for each, (_, _, metrics) in judged],
        schedule=schedule_of(stages, base),
    )
    return Answer(
        winner,
        value,
        best_epoch,
        validation,
        final,
        finalists,
        repeats,
        comparisons,
        stages,
        n_users=int((data.validation.counts > 0).sum()),
    )


def ranked(
    trials: Sequence[TrialRecord],
    failure: str | None = None,
    goals: Goals | None = None,
    *,
    folder: Path,
) -> list[TrialRecord]:
    """Return the trials that can win, best first; of equal ones the first comes first.

    A trial that was stopped does not win while another came to its end: what it would have become
    was not seen, and its rung held better ones. With limits, only a trial inside of them can win;
    with several objectives, only one on the front, ordered by the first objective. The study's
    folder is for the message.

    Raises:
        StudyError: There is none.
    """
    reported = [trial for trial in trials if trial.value is not None and math.isfinite(trial.value)]
    complete = [trial for trial in reported if trial.state == "COMPLETE"]
    stopped = [trial for trial in reported if trial.state == "PRUNED"]
    if not complete and not stopped:
        reason = f" The first failure: {failure}" if failure else ""
        raise StudyError(f"of {counted(len(trials), 'trial')} none came to its end.{reason}")
    if goals is None or goals.plain:
        return sorted(complete or stopped, key=_best_first)
    if goals.several:
        able = goals.front(trials)
    else:
        inside = [[t for t in group if goals.feasible(t.at_best)] for group in (complete, stopped)]
        able = sorted(inside[0] or inside[1], key=_best_first)
    if not able:
        raise StudyError(_none_inside(complete or stopped, goals, folder))
    return able


def _best_first(trial: TrialRecord) -> tuple[float, int]:
    return -(trial.value or 0.0), trial.number


def _none_inside(trials: Sequence[TrialRecord], goals: Goals, folder: Path) -> str:
    def outside(trial: TrialRecord) -> float:
        return sum(max(excess, 0.0) for excess in goals.excesses(trial.at_best).values())

    nearest = min(trials, key=outside)
    values = ", ".join(
        f"{limit.metric} {nearest.at_best[limit.metric]:.6g}" for limit in goals.limits
    )
    limits = ", ".join(map(str, goals.limits))
    return (
        f"none of {len(trials)} trials is inside of sweep.limits ({limits}); the nearest is trial "
        f"{nearest.number} with {values}. Run more trials: hbpr study resume "
        f"{shlex.quote(str(folder))} --set sweep.num_trials=N; or start a study with other limits "
        "or another space"
    )


def _references(datasets: Mapping[str, Interactions]) -> dict[str, Any]:
    import ray

    return {key: ray.put(data) for key, data in datasets.items()}
