"""The last page of a study, for the terminal."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hbpr.tracking.registry import Registered
from hbpr.tracking.store import mask_uri
from tune.answer.result import StudyResult
from tune.report.front import front_head, front_rows, front_title, limits_line
from tune.report.page import (
    FINALISTS,
    as_cell,
    comparison_lines,
    early_line,
    finalist_head,
    finalist_rows,
    metric_heads,
    metric_rows,
    repeats_line,
    winner_title,
)
from tune.report.progress import STATES, duration
from tune.storage.names import SUMMARY_PAGE


def show(result: StudyResult, console: Console) -> None:
    """Print the winner, its metrics beside popularity's, where the records are, and what next."""
    states = ", ".join(f"{result.states.get(state, 0)} {word}" for state, word in STATES.items())
    console.print(
        f"\n[bold]Study {result.study_id}[/] of experiment {result.experiment}: "
        f"{len(result.trials)} trials ({states}) in {duration(result.wall_s)}",
        highlight=False,
        soft_wrap=True,
    )
    notes = [f"Ended by {result.ended}"] if result.ended else []
    _lines(console, [*notes, *result.notes])
    console.print(_settings(result))
    console.print(_metrics(result))
    if result.front:
        console.print(_front(result))
    if result.finalists:
        console.print(_finalists(result))
        _lines(console, [repeats_line(result), *comparison_lines(result)])
    registered, early = result.registered, early_line(result)
    limits = limits_line(result)
    _lines(
        console,
        [
            *([f"Limits   {limits}"] if limits else []),
            *_mattered(result),
            *([f"Early    {early}"] if early else []),
            f"Time     {time_line(result)}",
            f"Records  MLflow {mask_uri(result.tracking_uri)}, experiment {result.experiment}",
            *([f"Model    {_model(registered)}"] if registered else []),
            f"Folder   {near(result.folder)} ({SUMMARY_PAGE} has this page)",
            "",
            "Next",
            *(f"  {what:7}{command}" for what, command in next_commands(result)),
        ],
    )


def time_line(result: StudyResult) -> str:
    """Return how long trials ran in this sitting, and how busy they kept the CPUs."""
    if not result.search_s:
        return "all trials had ended before"
    return (
        f"trials ran for {duration(result.search_s)}; training and evaluation took "
        f"{result.busy_share:.0%} of {result.cpus:g} CPUs"
    )


def write_text(result: StudyResult, path: Path) -> None:
    """Write what `show` prints to a file."""
    with path.open("w", encoding="utf-8") as file:
        show(result, Console(file=file, width=100))


def _lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _mattered(result: StudyResult) -> list[str]:
    """Return a line for each objective; where there is one, it goes without saying which."""
    lines = []
    for metric, shares in result.importance.items():
        told = ", ".join(f"{key} {share:.0%}" for key, share in shares.items() if share >= 0.005)
        to = f"to {metric}: " if len(result.importance) > 1 else ""
        lines.append(f"Mattered {to}{told}")
    return lines


def _model(registered: Registered) -> str:
    if registered.version == registered.champion:
        return f"models:/{registered.name}@champion (version {registered.version})"
    return (
        f"{registered.uri}; the champion stays version {registered.champion}, which was better on "
        "the same data"
    )


def next_commands(result: StudyResult) -> list[tuple[str, str]]:
    """Return what to type as it stands, and the page to open, each with a word on what it does."""
    uri, experiment = result.tracking_uri, shlex.quote(result.experiment)
    pages = mask_uri(uri).rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"
    link = f"{pages}{result.view or ''}"
    if uri.startswith("http"):
        look: list[tuple[str, str]] = []
    else:
        server = (
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false "
            f"{program('mlflow')} server --backend-store-uri {shlex.quote(uri)} --port 5000"
        )
        look = [("look", server)]
    plot = f"{program('hbpr')} plot {experiment} -o curves.png"
    found = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if found != uri:
        plot = f"MLFLOW_TRACKING_URI={shlex.quote(mask_uri(uri))} {plot}"
    return [
        *look,
        ("open", link),
        ("plot", plot),
        ("serve", f"{program('hbpr')} serve {shlex.quote(near(result.model_folder))}"),
    ]


def program(name: str) -> str:
    """Return how a program of this environment is called from the current folder."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not own.exists() or (found is not None and Path(found).absolute() == own):
        return name
    return shlex.quote(near(own))


def near(path: Path) -> str:
    """Return the path relative to the current folder, if it lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _settings(result: StudyResult) -> Table:
    table = Table(title=winner_title(result), title_justify="left")
    table.add_column("setting")
    table.add_column("value", justify="right")
    for key, value in result.best.values.items():
        table.add_row(key, as_cell(value))
    table.add_row("epochs", str(result.epochs or result.best.best_epoch))
    return table


def _metrics(result: StudyResult) -> Table:
    """One row a metric; validation is the winning trial's, test the refitted winner's."""
    table = Table(title="Metrics", title_justify="left", padding=(0, 0), pad_edge=False)
    table.add_column("\nmetric", no_wrap=True)
    before = None
    for part, who in metric_heads(result):
        table.add_column(f"{'' if part == before else part}\n{who}", justify="right")
        before = part
    for row in metric_rows(result):
        table.add_row(*row)
    return table


def _front(result: StudyResult) -> Table:
    assert result.goals is not None
    table = Table(title=front_title(result), title_justify="left")
    *heads, settings = front_head(result.goals)
    for heading in heads:
        table.add_column(heading, justify="right")
    table.add_column(settings, overflow="fold")
    for row in front_rows(result):
        table.add_row(*row)
    return table


def _finalists(result: StudyResult) -> Table:
    table = Table(title=FINALISTS, title_justify="left")
    for heading in finalist_head(result):
        table.add_column(heading, justify="right")
    for row in finalist_rows(result):
        table.add_row(*row)
    return table
