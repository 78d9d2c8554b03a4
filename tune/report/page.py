"""The last page of a study as one HTML file that needs nothing beside it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hbpr.tracking import tags as tag
from hbpr.tracking.records import TrialRecord
from hbpr.tracking.store import mask_uri
from tune.answer.early_order import RankCorrelation
from tune.answer.result import StudyResult
from tune.report.front import front_chart, front_head, front_rows, front_title, limits_line
from tune.report.progress import STATES, duration
from tune.space.dimensions import in_words

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2530; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .dim { color: #64707f; } .warn { color: #9a5b00; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem .2rem 0; text-align: right;
       border-bottom: 1px solid #e3e7ec; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; } th { color: #64707f; font-weight: 500; }
th.group { text-align: center; } .starts { padding-left: 1.6rem; }
svg { width: 100%; height: auto; } .bar { fill: #2f6fb0; } text { fill: #64707f; font-size: 11px; }
@media (prefers-color-scheme: dark) { body { background: #14181d; color: #dbe2ea; }
       th, td { border-color: #2a323b; } }
"""
#: Heading of the finalists.
FINALISTS = "Finalists with other seeds"
_COLOURS = {"COMPLETE": "#2f6fb0", "PRUNED": "#b9c4d0", "FAIL": "#c0392b"}
_WIDTH, _HEIGHT, _LEFT, _BELOW = 900, 240, 60, 30


def write_page(result: StudyResult, trials: Sequence[TrialRecord], path: Path) -> None:
    """Write the page of a study that came to its result."""
    path.write_text(render(result, trials), encoding="utf-8")


def render(result: StudyResult, trials: Sequence[TrialRecord]) -> str:
    """Return the page of a study as HTML.

    Args:
        result: What the study found.
        trials: Its trials with their reports, for the chart.
    """
    states = ", ".join(f"{result.states.get(state, 0)} {word}" for state, word in STATES.items())
    parts = [
        f"<h1>{escape(result.experiment)}</h1>",
        f'<p class="dim">Study {escape(result.study_id)}: {len(result.trials)} trials ({states}) '
        f"in {duration(result.wall_s)}; MLflow {escape(mask_uri(result.tracking_uri))}</p>",
    ]
    if result.ended:
        parts.append(f'<p class="warn">Ended by {escape(result.ended)}</p>')
    parts += [f'<p class="warn">{escape(note)}</p>' for note in result.notes]
    parts += [
        f"<h2>{winner_title(result)}</h2>",
        _table(
            ("setting", "value"),
            [(key, as_cell(value)) for key, value in result.best.values.items()]
            + [("epochs", str(result.epochs or result.best.best_epoch))],
        ),
        "<h2>Metrics</h2>",
        _metrics(result),
        '<p class="dim">Validation chose the winner; test was scored once, after its last '
        "training.</p>",
    ]
    limits = limits_line(result)
    parts += [f"<p>Limits: {escape(limits)}</p>"] if limits else []
    if result.front and result.goals is not None:
        parts += [f"<h2>{escape(front_title(result))}</h2>", front_chart(result)]
        parts += [_table(front_head(result.goals), front_rows(result))]
    if result.finalists:
        parts += [f"<h2>{FINALISTS}</h2>"]
        parts += [_table(finalist_head(result), finalist_rows(result))]
        parts += [f'<p class="dim">{escape(repeats_line(result))}</p>']
    parts += [f"<p>{escape(line)}</p>" for line in comparison_lines(result)]
    for metric, shares in result.importance.items():
        parts += [f"<h2>What mattered to {escape(metric)}</h2>", _bars(shares)]
    early = early_line(result)
    parts += [f"<p>Stopping early: {escape(early)}</p>"] if early else []
    parts += [f"<h2>{escape(result.metric)} of each trial</h2>", _chart(trials)]
    title = f"{escape(result.experiment)} {escape(result.study_id)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def as_cell(value: Any) -> str:
    """Return a setting as a table shows it; of a section the settings that its choice names."""
    return in_words(value, digits=5).strip("{}")


def winner_title(result: StudyResult) -> str:
    """Return the heading of the winner's settings."""
    return f"Winner: trial {result.best.number}"


def metric_heads(result: StudyResult) -> list[tuple[str, str]]:
    """Return the part of the data and who is judged on it, for each column of `metric_rows`."""
    words = {"val": "validation", "test": "test"}
    return [(words[part], who) for part, who, _ in _judged(result)]


def metric_rows(result: StudyResult) -> list[tuple[str, ...]]:
    """Return a metric and its value in each column of `metric_heads`; a row each."""
    columns = _judged(result)
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


def _judged(result: StudyResult) -> list[tuple[str, str, dict[str, float]]]:
    """Return part, who is judged on it, and all metrics of theirs; without test if it is empty."""
    others = [("popularity", result.baseline_metrics)]
    others += [("EASE", result.ease_metrics)] if result.ease_metrics else []
    columns = [("val", *each) for each in [("winner", result.validation_metrics), *others]]
    if result.test_metrics:
        columns += [("test", *each) for each in [("winner", result.test_metrics), *others]]
    return columns


def finalist_head(result: StudyResult) -> tuple[str, ...]:
    """Return the headings of `finalist_rows`."""
    return ("trial", f"mean {result.metric}", "deviation", "seeds")


def finalist_rows(result: StudyResult) -> list[tuple[str, ...]]:
    """Return number, mean, deviation and number of seeds of each finalist."""
    return [
        (str(each.number), f"{each.mean:.4f}", f"{each.deviation:.4f}", str(len(each.values)))
        for each in result.finalists
    ]


def repeats_line(result: StudyResult) -> str:
    """Return how MLflow finds the runs behind mean and deviation."""
    query = f'tags.{tag.KIND} = "repeat" and tags.{tag.STUDY_ID} = "{result.study_id}"'
    return f"Each seed is a run in MLflow: {query}"


def comparison_lines(result: StudyResult) -> list[str]:
    """Return what each paired comparison says, in words."""
    return [
        f"trial {result.best.number} - {each.other}: {each.difference:+.4f} "
        f"(95 % {each.low:+.4f} to {each.high:+.4f}, paired t-test over {each.n_users} users, "
        f"p = {each.p:.2g})"
        for each in result.comparisons
    ]


def early_line(result: StudyResult) -> str | None:
    """Return how much the early order of the trials said about the final one, in words."""
    told = [
        f"{each.tau:.2f} at {each.place} ({_went_on(each)})"
        for each in result.early
        if each.is_known
    ]
    return f"rank correlation with the end: {', '.join(told)}" if told else None


def _went_on(correlation: RankCorrelation) -> str:
    if not correlation.n_stopped:
        return f"{correlation.n_trials} trials"
    total = correlation.n_trials + correlation.n_stopped
    return f"{total} trials, of which {correlation.n_trials} finished"


def _metrics(result: StudyResult) -> str:
    """One row a metric, one column for each who is judged, those of a part of the data together."""
    heads = metric_heads(result)
    parts = Counter(part for part, _ in heads)
    starts = [heads.index((part, "winner")) + 1 for part in parts]
    top = "".join(
        f'<th class="group" colspan="{n_columns}">{part}</th>' for part, n_columns in parts.items()
    )

    def row(tag: str, cells: Sequence[str]) -> str:
        marks = [' class="starts"' if index in starts else "" for index in range(len(cells))]
        return "".join(
            f"<{tag}{mark}>{escape(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
        )

    rows = [f"<th></th>{top}", row("th", ["metric", *(who for _, who in heads)])]
    rows += [row("td", cells) for cells in metric_rows(result)]
    return f"<table><tr>{'</tr><tr>'.join(rows)}</tr></table>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"


def _bars(shares: dict[str, float]) -> str:
    row, name_width = 22, 260
    lines = []
    for index, (key, share) in enumerate(shares.items()):
        y, width = index * row, (_WIDTH - name_width - 60) * share
        lines.append(
            f'<text x="0" y="{y + 15}">{escape(key)}</text>'
            f'<rect class="bar" x="{name_width}" y="{y + 4}" width="{width:.1f}" height="14"/>'
            f'<text x="{name_width + width + 6:.1f}" y="{y + 15}">{share:.0%}</text>'
        )
    return f'<svg viewBox="0 0 {_WIDTH} {row * len(shares)}">{"".join(lines)}</svg>'


def _chart(trials: Sequence[TrialRecord]) -> str:
    """One point a trial, and the best so far as a line."""
    told = [(t.number, t.value, t.state) for t in trials if t.value is not None]
    if not told:
        return ""
    low, high = min(value for _, value, _ in told), max(value for _, value, _ in told)
    span, last = (high - low) or 1.0, max(number for number, _, _ in told) or 1

    def place(number: int, value: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - 10) * number / last
        return x, 10 + (_HEIGHT - _BELOW - 10) * (high - value) / span

    dots, line, best = [], [], None
    for number, value, state in told:
        x, y = place(number, value)
        name = STATES.get(state, state)
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_COLOURS.get(state, "#888")}">'
            f"<title>trial {number}: {value:.4f}, {name}</title></circle>"
        )
        if state == "COMPLETE" and (best is None or value > best):
            best = value
        if best is not None:
            line.append("{:.1f},{:.1f}".format(*place(number, best)))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f'<polyline points="{" ".join(line)}" fill="none" stroke="#2f6fb0" stroke-width="1.5"/>'
        f"{''.join(dots)}"
        f'<text x="0" y="14">{high:.4f}</text>'
        f'<text x="0" y="{_HEIGHT - _BELOW}">{low:.4f}</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">trials 0 to {last}; blue: ran to the end, grey: '
        "stopped, red: failed; line: the best so far</text></svg>"
    )
