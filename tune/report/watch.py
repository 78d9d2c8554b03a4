"""A study in the terminal while another process runs it."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dashboards.words import STATES
from hbpr.formats import as_words, times_line
from hbpr.tracking.records import TrialRecord
from tune.report.pace import roughly
from tune.report.sight import Observer, Sight
from tune.report.text_chart import Curve, chart

_REFRESH_S: Final = 1.0
_PLAIN_EVERY_S: Final = 10.0
#: Lines of the chart; rows of running trials; nodes and curves that are shown.
_HEIGHT: Final = 10
_MOST_ROWS: Final = 8
_MOST_NODES: Final = 6
_MOST_CURVES: Final = 200


def watch(observer: Observer, console: Console) -> Sight:
    """Show a study until nobody runs it any more, and return what was seen last.

    Args:
        observer: Looks at the study.
        console: A terminal gets a live picture, anything else a plain line now and then.
    """
    sight = observer.look()
    if not console.is_terminal:
        return _plain(observer, console, sight)
    live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
    with live:
        while True:
            live.update(picture(observer, sight, console), refresh=True)
            if sight.state != "running":
                return sight
            time.sleep(_REFRESH_S)
            sight = observer.look()


def _plain(observer: Observer, console: Console, sight: Sight) -> Sight:
    """Write a line at once, then one every ten seconds and one at the end."""
    shown = float("-inf")
    while True:
        ends = sight.state != "running"
        if ends or time.monotonic() - shown >= _PLAIN_EVERY_S:
            shown = time.monotonic()
            console.print(line(observer, sight), highlight=False, markup=False, soft_wrap=True)
        if ends:
            return sight
        time.sleep(_REFRESH_S)
        sight = observer.look()


def line(observer: Observer, sight: Sight) -> str:
    """Return what is seen in one line."""
    parts = [_trials(sight)]
    if sight.best is not None:
        parts.append(f"best {observer.settings.sweep.metric} {sight.best.value:.4f}")
    if sight.running and sight.nodes:
        parts.append(_nodes(sight))
    return "; ".join([*parts, _times(sight)])


def picture(observer: Observer, sight: Sight, console: Console) -> RenderableType:
    """Return what is seen on a screen."""
    experiment = observer.settings.mlflow.experiment_name
    head = Text.assemble(
        (f"Study {observer.folder.study_id}", "bold"),
        f" of experiment {experiment}: {sight.state}; {_times(sight)}",
        overflow="ellipsis",
        no_wrap=True,
    )
    width = min(24, console.width // 5)
    bar = ProgressBar(total=max(sight.total, 1), completed=sight.ended.total(), width=width)
    counts = Table.grid(padding=(0, 1))
    counts.add_row(bar, _trials(sight))
    lines: list[RenderableType] = [head]
    if sight.data:
        lines.append(Text(f"data {sight.data}", style="dim"))
    lines += [counts, *_best(observer, sight), *_curves(observer, sight, console)]
    if sight.running:
        lines += _running(observer, sight)
    if sight.nodes:
        lines.append(Text(_nodes(sight)))
    return Group(*lines)


def _trials(sight: Sight) -> str:
    """Return the counts; while the answer is worked out, that."""
    counts = {word: sight.ended[state] for state, word in STATES.items()}
    n_running = len(sight.running)
    text = ", ".join(f"{count} {word}" for word, count in counts.items())
    text = f"{sight.ended.total()}/{sight.total} trials: {text}, {n_running} running"
    if sight.state == "running" and not n_running:
        over = sight.ended.total() >= sight.total
        text += "; the winner is worked out" if over else "; waiting for a trial to start"
    return text


def _times(sight: Sight) -> str:
    """Return the time that trials ran, over all sittings too, and what is left."""
    text = times_line(sight.sitting_s, sight.before_s)
    return text if sight.left_s is None else f"{text}, about {roughly(sight.left_s)} left"


def _best(observer: Observer, sight: Sight) -> Iterator[Text]:
    best = sight.best
    if best is None:
        return
    what = "best of the search" if sight.state == "finished" else "best"
    text = f"{what} {observer.settings.sweep.metric} {best.value:.4f}: "
    where = f"trial {best.number}, epoch {best.best_epoch}; {as_words(best.values)}"
    yield Text.assemble((text, "green"), where, no_wrap=True, overflow="ellipsis")


def _curves(observer: Observer, sight: Sight, console: Console) -> list[Text]:
    """Return the learning curves: all faded, running ones in colour, the best on top."""
    running = {trial.number for trial in sight.running}
    best = -1 if sight.best is None else sight.best.number
    others = [t for t in sight.trials if t.number not in running and t.number != best]
    shown = [Curve(trial.reports, "bright_black") for trial in others[-_MOST_CURVES:]]
    shown += [Curve(trial.reports, "cyan") for trial in sight.running]
    if sight.best is not None:
        shown.append(Curve(sight.best.reports, "bold green"))
    plain = not console.encoding.startswith("utf")
    rows = chart(shown, width=min(console.width, 100), height=_HEIGHT, plain=plain)
    if not rows:
        return []
    title = Text.assemble(
        (observer.settings.sweep.metric, "bold"),
        ": ",
        ("the best", "bold green"),
        ", ",
        ("running", "cyan"),
        ", ",
        ("others", "bright_black"),
    )
    return [title, *rows]


def _running(observer: Observer, sight: Sight) -> list[RenderableType]:
    """Return a table of the trials that run, the one that is furthest first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("trial", "epoch", "last", "best"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("node", no_wrap=True)
    table.add_column("settings")  # which gives way where there is no room
    rows = sorted(sight.running, key=lambda trial: (-trial.epochs, trial.number))
    for trial in rows[:_MOST_ROWS]:
        last = trial.reports.get(trial.epochs)
        table.add_row(
            str(trial.number),
            f"{trial.epochs}/{observer.plan.max_epochs}",
            _number(last),
            _number(trial.value),
            sight.nodes.get(trial.number, ""),
            Text(as_words(trial.values), no_wrap=True, overflow="ellipsis"),
        )
    more = len(rows) - _MOST_ROWS
    return [table, Text(f"and {more} more that run", style="dim")] if more > 0 else [table]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _nodes(sight: Sight) -> str:
    """Return the machines with the trials that run on them and those that ended."""

    def of(trials: list[TrialRecord]) -> Counter[str]:
        return Counter(sight.nodes[t.number] for t in trials if t.number in sight.nodes)

    running = of(sight.running)
    ended = of([trial for trial in sight.trials if trial.state != "RUNNING"])
    names = sorted({*running, *ended}, key=lambda name: (-running[name], name))
    said = [f"{name} {running[name]} running, {ended[name]} ended" for name in names]
    more = len(said) - _MOST_NODES
    return f"nodes: {'; '.join(said[:_MOST_NODES])}{f'; and {more} more' if more > 0 else ''}"
