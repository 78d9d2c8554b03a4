"""A comparison in sentences: which run is best, against what, and how sure that is."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from dashboards.kinds.common import series_of
from dashboards.kinds.findings import half_width
from dashboards.records import Records
from dashboards.words import chance_line, metric_label, note_lines, p_words, verdict_lines
from hbpr.tracking.findings import Finalist
from hbpr.tracking.records import StudyRecord


def verdicts(records: Records) -> list[str]:
    """Return for each study which baselines rank above its winner, or may, and what is chance."""
    found = []
    for study in records.studies:
        chance = study.winner and chance_line(study.winner)
        lines = [*verdict_lines(study), *([chance] if chance else [])]
        found += [f"{_whose(records, study)}{line}" for line in lines]
    return found


def notes(records: Records) -> list[str]:
    """Return for each study what ended it early, what was made good, and what MLflow has not."""
    return [
        f"{_whose(records, study)}{line}" for study in records.studies for line in note_lines(study)
    ]


def _whose(records: Records, study: StudyRecord) -> str:
    """Return whose line it is; of a single study that goes without saying."""
    if len(records.studies) == 1:
        return ""
    return f"{study.identity.experiment}, {study.identity.name}: "


def answers(records: Records) -> list[str]:
    """Return for each group of runs that compare which one is best, and how sure that is."""
    return [" ".join(_answer(records, name, rows)) for name, rows in records.groups.items()]


def _answer(records: Records, data: str, rows: pd.DataFrame) -> list[str]:
    best = records.best(rows)
    if best is None:
        return [f"On {data}: no run has a value of {records.metric} yet."]
    label = metric_label(records.metric)
    who = f"{best['run']} of {best['study']} in {best['experiment']}"
    first = f"On {data}: {who} is best, {label} {best['value']:.4f} at epoch {best['best_epoch']}"
    others = [
        (other, each.name)
        for each in series_of(records, rows)
        if best.name not in each.rows.index and (other := records.best(each.rows)) is not None
    ]
    if others:
        sign = 1 if records.lower else -1
        second, name = min(others, key=lambda pair: sign * pair[0]["value"])
        gap = abs(best["value"] - second["value"])
        first += f", {gap:.4f} ahead of {second['run']} of {name} ({second['value']:.4f})"
        return [f"{first}.", _sure(records, best, second)]
    against = _against(records, best)
    return [f"{first}, of {len(rows):,} runs{against}.", _sure(records, best, None)]


def _against(records: Records, best: pd.Series) -> str:
    """Return how far a winner is ahead of the baseline next to it; empty where nobody compared."""
    place: Any = best.name
    study = records.owners[int(place)]
    if study.winner is None or study.winner.number != records.trials[int(place)].number:
        return ""
    return _beside_rival(study)


def _beside_rival(study: StudyRecord) -> str:
    """Return how far a study's winner is ahead of the baseline next to it, or nothing."""
    rival = min(study.rivals, key=lambda each: each.difference, default=None)
    if rival is None:
        return ""
    interval = f"95 % {rival.low:+.4f} to {rival.high:+.4f}"
    return f"; against {rival.other} {rival.difference:+.4f} ({interval})"


def _sure(records: Records, best: pd.Series, second: pd.Series | None) -> str:
    """Return how sure it is that the best is better, from repeats with other seeds."""
    own = finalist_of(records, best)
    place: Any = best.name
    study = records.owners[int(place)]
    winner = study.winner
    if winner is not None and winner.number != records.trials[int(place)].number:
        goals = study.goals
        if not goals.feasible(records.trials[int(place)].at_best):
            return (
                f"It is outside of the limits ({'; '.join(map(str, goals.limits))}): the winner of "
                f"the study is trial {winner.number} ({winner.value:.4f}){_beside_rival(study)}."
            )
        return (
            f"With other seeds trial {winner.number} is ahead of it, which is why that is the "
            f"winner of the study ({winner.value:.4f}){_beside_rival(study)}."
        )
    if own is None or len(own.values) < 2:
        return "It was trained with one seed, so chance is part of its lead."
    mean = f"{own.mean:.4f} ± {half_width(own):.4f} (95 %)"
    said = f"Its mean over {len(own.values)} other seeds is {mean}"
    other = None if second is None else finalist_of(records, second)
    if other is None or len(other.values) < 2:
        return f"{said}."
    p = welch(own.values, other.values)
    test = f"Welch's t-test over seeds, {p_words(p)}"
    return f"{said}; the other one's {other.mean:.4f} ({test})."


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p of Welch's t-test; 1 where neither varies and the means are equal."""
    from scipy.stats import ttest_ind

    if len(set(one)) == len(set(other)) == 1:
        return 1.0 if one[0] == other[0] else 0.0
    p = float(ttest_ind(one, other, equal_var=False).pvalue)
    return 1.0 if math.isnan(p) else p


def finalist_of(records: Records, row: pd.Series) -> Finalist | None:
    """Return the repeats of a run; None where there are none."""
    place: Any = row.name
    number = records.trials[int(place)].number
    finalists = records.owners[int(place)].findings.finalists
    return next((each for each in finalists if each.number == number), None)
