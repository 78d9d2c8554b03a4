"""What pages and the terminal say of a study: its headings, rows and sentences, from its record.

They are here, not beside the terminal's tables in `tune.report`, since `dashboards` knows nothing
of `tune`: whoever shows a study takes its words from this one place.
"""

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from hbpr.formats import as_cell, as_words, counted, duration, measured_cell
from hbpr.names import FEW_USERS, METRICS
from hbpr.tracking.findings import LEAST_TRIALS, Effect, Importance, RankCorrelation, Winner
from hbpr.tracking.goals import Goals
from hbpr.tracking.records import StudyRecord
from hbpr.tracking.registry import Registered

#: What a person reads for a state of a trial.
STATES: Final = {"COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed"}
#: Likewise of a run, which may go on.
RUN_STATES: Final = STATES | {"RUNNING": "running", "WAITING": "waiting"}
#: Heading of the finalists.
FINALISTS: Final = "Finalists with other seeds"
_PARTS: Final = {"val": "validation", "test": "test", "train": "training", "time": "time"}


def metric_label(name: str) -> str:
    """Return a metric's name for people.

    Example:
        >>> metric_label("val/ndcg_at_10"), metric_label("train/loss")
        ('validation NDCG@10', 'training loss')
    """
    part, _, rest = name.partition("/")
    if not rest:
        return name
    metric, at, k = rest.partition("_at_")
    if name.startswith("time/"):
        return f"{metric.removesuffix('_s')} seconds an epoch"
    known = METRICS.get(metric)
    label = known.label if known else metric
    return f"{_PARTS.get(part, part)} {label}{f'@{k}' if at else ''}"


def trials_line(record: StudyRecord) -> str:
    """Return how many trials there are, in what states, and how long it took."""
    states = ", ".join(f"{record.states.get(state, 0)} {word}" for state, word in STATES.items())
    times = record.times
    time = "" if times is None else f" in {duration(times.wall_s)}"
    if times is not None and times.before_s:
        time += f", after {duration(times.before_s)} of trials in earlier sittings"
    return f"{counted(len(record.trials), 'trial')} ({states}){time}"


def note_lines(record: StudyRecord) -> list[str]:
    """Return what ended the search early, what was made good, and what MLflow has not got."""
    lines = [f"Ended by {record.ended}"] if record.ended else []
    return [*lines, *all_notes(record)]


def all_notes(record: StudyRecord) -> list[str]:
    """Return the record's notes, and one on MLflow where it did not have all at once."""
    tracking = record.tracking
    if tracking.arrival == "complete" and not tracking.away_s:
        return list(record.notes)
    what = f"MLflow did not answer for {tracking.away_s:.0f} s"
    if not tracking.away_s:
        what = "MLflow did not take all records at once"
    rest = {
        "complete": "all records have arrived",
        "later": "all records have arrived since",
        "partial": f"the rest is sent by: hbpr study sync {shlex.quote(_folder(record))}",
    }
    return [*record.notes, f"{what}; {rest[tracking.arrival]}"]


def _folder(record: StudyRecord) -> str:
    return record.identity.folder or "FOLDER"


def verdict_lines(record: StudyRecord) -> list[str]:
    """Return which baselines rank above the winner on validation, or may: what to know first."""
    if record.winner is None:
        return []
    what = f"{metric_label(record.metric)} ({record.metric})"
    lines = []
    for each in record.rivals:
        numbers = (
            f"trial {record.winner.number} - {each.other} = {each.difference:+.4f} (95 % interval "
            f"{each.low:+.4f} to {each.high:+.4f}, paired over {each.n_users:,} users)"
        )
        if each.verdict == "below":
            lines.append(f"{each.other} ranks above the winner on {what}: {numbers}.")
        elif each.difference < 0.0:
            lines.append(
                f"Not decided whether {each.other} ranks above the winner on {what}: {numbers}."
            )
    lines += [
        f"{label} ranks above the winner, trial {record.winner.number}, on {what}; the interval "
        "was not recorded."
        for label in record.findings.better
    ]
    return lines


def chance_line(winner: Winner) -> str | None:
    """Return that the winner may have won by chance, where validation holds few users."""
    if winner.n_users is None or winner.n_users >= FEW_USERS:
        return None
    users = "1 user" if winner.n_users == 1 else f"{winner.n_users} users"
    return (
        f"Trial {winner.number} may have won by chance: validation holds {users}, fewer than "
        f"{FEW_USERS}. Hold out more (data.split), or add interactions."
    )


def model_line(registered: Registered) -> str:
    """Return where the registered model is, and who the champion is."""
    if registered.version == registered.champion:
        return f"models:/{registered.name}@champion (version {registered.version})"
    if registered.better:
        champion = registered.champion
        stays = f"champion stays version {champion}" if champion else "no version is the champion"
        return (
            f"{registered.uri}; {stays}, since {registered.better} ranks above this one on "
            "validation. To make it the champion all the same: final.register_model: always"
        )
    return (
        f"{registered.uri}; the champion stays version {registered.champion}, which was better on "
        "the same data"
    )


def winner_title(winner: Winner) -> str:
    """Return the heading of the winner's settings."""
    return f"Winner: trial {winner.number}"


def winner_rows(winner: Winner) -> list[tuple[str, str]]:
    """Return each setting of the winner with its value, and the epochs of its last training."""
    return [
        *((key, as_cell(value)) for key, value in winner.values.items()),
        ("epochs", str(winner.epochs)),
    ]


def metric_heads(record: StudyRecord) -> list[tuple[str, str]]:
    """Return the part of the data and who is judged on it, for each column of `metric_rows`."""
    words = {"val": "validation", "test": "test"}
    return [(words[part], who) for part, who, _ in _judged(record)]


def metric_parts(record: StudyRecord) -> list[tuple[str, int]]:
    """Return each part of the data, and how many columns of `metric_heads` it has."""
    return list(Counter(part for part, _ in metric_heads(record)).items())


def metric_rows(record: StudyRecord) -> list[tuple[str, ...]]:
    """Return a metric and its value in each column of `metric_heads`; a row each."""
    columns = _judged(record)
    names = dict.fromkeys(
        name.partition("/")[2]
        for part, _, metrics in columns
        for name in metrics
        if name.startswith(f"{part}/")
    )
    rows = []
    for name in names:
        values = [metrics.get(f"{part}/{name}") for part, _, metrics in columns]
        rows.append((name, *("" if value is None else f"{value:.4f}" for value in values)))
    return rows


def _judged(record: StudyRecord) -> list[tuple[str, str, dict[str, float]]]:
    """Return part, who is judged on it, and all metrics of theirs; without test if it is empty."""
    winner = record.winner
    if winner is None:
        return []
    columns = [("val", "winner", winner.validation)]
    columns += [("val", each.label, each.validation) for each in record.baselines]
    if winner.test:
        columns += [("test", "winner", winner.test)]
        columns += [("test", each.label, each.test) for each in record.baselines]
    return columns


def front_head(goals: Goals) -> tuple[str, ...]:
    """Return the headings of `front_row`."""
    return ("trial", *goals.metrics, "settings")


def front_row(
    goals: Goals, number: int, measured: Mapping[str, float], values: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return a trial's number, its values of all that the study looks at, and its settings."""
    cells = [measured_cell(name, measured[name]) for name in goals.metrics]
    return (str(number), *cells, as_words(values))


def front_rows(record: StudyRecord) -> list[tuple[str, ...]]:
    """Return the Pareto front; empty where there is one objective."""
    return [front_row(record.goals, t.number, t.at_best, t.values) for t in record.front]


def front_title(record: StudyRecord) -> str:
    """Return what the table of the front is, and which trial is the champion."""
    title = f"Pareto front: {len(record.front)} of {counted(len(record.trials), 'trial')}"
    if record.winner is None:
        return title
    return f"{title}; the champion is trial {record.winner.number}, by {record.metric}"


def limits_line(record: StudyRecord) -> str | None:
    """Return the limits, the winner's values, and how many trials are outside; None without."""
    if record.best is None or not record.goals.limits:
        return None
    measured = record.best.at_best
    limits = "; ".join(
        f"{limit} (winner {measured_cell(limit.metric, measured[limit.metric])})"
        for limit in record.goals.limits
    )
    n_trials = counted(len(record.trials), "trial")
    return f"{limits}; outside: {record.n_outside} of {n_trials}"


def finalist_head(record: StudyRecord) -> tuple[str, ...]:
    """Return the headings of `finalist_rows`."""
    return ("trial", f"mean {record.metric}", "deviation", "seeds")


def finalist_rows(record: StudyRecord) -> list[tuple[str, ...]]:
    """Return number, mean, deviation and number of seeds of each finalist."""
    return [
        (str(each.number), f"{each.mean:.4f}", f"{each.deviation:.4f}", str(len(each.values)))
        for each in record.findings.finalists
    ]


def repeats_line(record: StudyRecord) -> str:
    """Return how MLflow finds the runs behind mean and deviation."""
    query = f'tags.hbpr.kind = "repeat" and tags.hbpr.study_id = "{record.identity.study_id}"'
    return f"Each seed is a run in MLflow: {query}"


def p_words(p: float) -> str:
    """Return a p-value in words; one below what a float holds is not nought."""
    return f"p = {p:.2g}" if p > 0.0 else "p < 1e-300"


def comparison_lines(record: StudyRecord) -> list[str]:
    """Return what each paired comparison says, in words."""
    if record.winner is None:
        return []
    return [
        f"trial {record.winner.number} - {each.other}: {each.difference:+.4f} "
        f"(95 % {each.low:+.4f} to {each.high:+.4f}, paired t-test over {each.n_users} users, "
        f"{p_words(each.p)})"
        for each in record.findings.comparisons
    ]


def winner_lines(record: StudyRecord) -> list[str]:
    """Return what there is to say of a winner below its tables, a sentence or two each."""
    limits, early = limits_line(record), early_line(record)
    several = len(record.findings.importance) > 1
    return [
        *([f"Limits: {limits}."] if limits else []),
        *comparison_lines(record),
        *([repeats_line(record)] if record.findings.finalists else []),
        *(
            f"What mattered{f' to {metric}' if several else ''}: {line}."
            for metric, line in mattered_lines(record)
        ),
        *([f"Stopping early: {early}."] if early else []),
    ]


def mattered_lines(record: StudyRecord) -> list[tuple[str, str]]:
    """Return for each objective what mattered to it, and how sure that is; a sentence each."""
    return [(each.metric, _mattered(each)) for each in record.findings.importance]


def _mattered(found: Importance) -> str:
    if found.n_trials < LEAST_TRIALS:
        few = "1 trial is" if found.n_trials == 1 else f"{found.n_trials} trials are"
        return f"{few} too few to say; it takes {LEAST_TRIALS}"
    if not found.effects:
        return f"all {found.n_trials} trials have the same value"
    sure = [each for each in found.effects if each.low > 0.0]
    unsure = [each.setting for each in found.effects if each.low <= 0.0]
    costs = ", ".join(effect_words(found.metric, each) for each in sure)
    text = f"another value of it alone costs the winner {costs}" if sure else ""
    if unsure:
        text += f"{'; not' if sure else 'not'} sure of {', '.join(unsure)}"
    return f"{text} ({_rests_on(found)})"


def effect_words(metric: str, effect: Effect) -> str:
    """Return a setting, what it costs to change it, and the interval."""
    cost, low, high = (
        measured_cell(metric, each) for each in (effect.cost, effect.low, effect.high)
    )
    return f"{effect.setting} {cost} ({low} to {high})"


def _rests_on(found: Importance) -> str:
    stopped = f", of which {found.n_stopped} were stopped" if found.n_stopped else ""
    return f"from {found.n_trials} trials{stopped}; 95 % intervals"


def early_line(record: StudyRecord) -> str | None:
    """Return how much the early order of the trials said about the final one, in words."""
    known = [
        f"{each.tau:.2f} at {each.place} ({_went_on(each)})"
        for each in record.findings.early
        if each.is_known
    ]
    return f"rank correlation with the end: {', '.join(known)}" if known else None


def _went_on(correlation: RankCorrelation) -> str:
    if not correlation.n_stopped:
        return counted(correlation.n_trials, "trial")
    total = correlation.n_trials + correlation.n_stopped
    return f"{total} trials, of which {correlation.n_trials} finished"
