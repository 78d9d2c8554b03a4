"""The summary of a study, for the terminal."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dashboards import words
from hbpr.formats import data_words, duration
from hbpr.tracking.findings import Winner
from hbpr.tracking.records import StudyRecord
from hbpr.tracking.store import mask_uri
from tune.storage.names import SUMMARY_PAGE


def show(record: StudyRecord, console: Console) -> None:
    """Print the winner, its metrics beside popularity's, where the records are, and what next."""
    identity, winner = record.identity, record.winner
    title = Text.assemble(
        "\n",
        (f"Study {identity.study_id}", "bold"),
        f" of experiment {identity.experiment}: {words.trials_line(record)}",
    )
    console.print(title, soft_wrap=True)
    chance = words.chance_line(winner) if winner else None
    _warnings(console, [*words.verdict_lines(record), *([chance] if chance else [])])
    _lines(console, words.note_lines(record))
    if winner is not None:
        console.print(_settings(winner))
        console.print(_metrics(record))
    if record.front:
        console.print(_front(record))
    if record.findings.finalists:
        console.print(_finalists(record))
        _lines(console, [words.repeats_line(record), *words.comparison_lines(record)])
    registered = winner.registered if winner else None
    early, limits = words.early_line(record), words.limits_line(record)
    folder = near(Path(identity.folder)) if identity.folder else "unknown"
    exam = record.origin.exam
    data = data_words(exam.data, exam.n_users, exam.n_items)
    _lines(
        console,
        [
            *([f"Limits   {limits}"] if limits else []),
            *_mattered(record),
            *([f"Early    {early}"] if early else []),
            *([f"Data     {data}"] if data else []),
            f"Time     {time_line(record)}",
            f"Records  MLflow {record.tracking.uri}, experiment {identity.experiment}",
            *([f"Model    {words.model_line(registered)}"] if registered else []),
            f"Folder   {folder} ({SUMMARY_PAGE} has this page)",
            "",
            "Next",
            *(f"  {what:9}{command}" for what, command in next_commands(record)),
        ],
    )


def time_line(record: StudyRecord) -> str:
    """Return how long trials ran in this sitting, and how busy they kept the CPUs."""
    times = record.times
    total = ""
    if times is not None and times.before_s:
        total = f"; {duration(times.search_s + times.before_s)} over all sittings"
    if times is None or not times.search_s:
        return f"all trials had ended before{total}"
    return (
        f"trials ran for {duration(times.search_s)}; training and evaluation took "
        f"{times.busy_share:.0%} of {times.cpus:g} CPUs{total}"
    )


def write_text(record: StudyRecord, path: Path) -> None:
    """Write what `show` prints to a file."""
    with path.open("w", encoding="utf-8") as file:
        show(record, Console(file=file, width=100, force_jupyter=False))


def _lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _warnings(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(Text(line, style="bold yellow"), soft_wrap=True)


def _mattered(record: StudyRecord) -> list[str]:
    """Return a line for each objective; where there is one, it goes without saying which."""
    several = len(record.findings.importance) > 1
    return [
        f"Mattered {f'to {metric}: ' if several else ''}{line}"
        for metric, line in words.mattered_lines(record)
    ]


def next_commands(record: StudyRecord) -> list[tuple[str, str]]:
    """Return what to type as it stands, and the page to open, each with a word on what it does."""
    uri, experiment = record.tracking.uri, shlex.quote(record.identity.experiment)
    pages = uri.rstrip("/") if uri.startswith("http") else "http://127.0.0.1:5000"
    link = f"{pages}{record.tracking.view or ''}"
    if uri.startswith("http"):
        look: list[tuple[str, str]] = []
    else:
        server = (
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false "
            f"{program('mlflow')} server --backend-store-uri {shlex.quote(uri)} --port 5000"
        )
        look = [("look", server)]
    report = f"{program('hbpr')} report {experiment} -o report.html"
    found = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    if mask_uri(found) != uri:
        report = f"MLFLOW_TRACKING_URI={shlex.quote(uri)} {report}"
    model = record.identity.model_folder
    serve = f"{program('hbpr')} serve {shlex.quote(near(Path(model)))}" if model else ""
    more = [("serve", serve)] if serve else []
    registered = record.winner.registered if record.winner else None
    if registered and registered.better and record.identity.folder:
        folder = shlex.quote(near(Path(record.identity.folder)))
        always = "--set sweep.final.register_model=always"
        more += [("champion", f"{program('hbpr')} study resume {folder} {always}")]
    return [*look, ("open", link), ("report", report), *more]


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


def _settings(winner: Winner) -> Table:
    table = _table(words.winner_title(winner))
    table.add_column("setting")
    table.add_column("value", justify="right")
    for row in words.winner_rows(winner):
        table.add_row(*row)
    return table


def _metrics(record: StudyRecord) -> Table:
    """One row a metric; validation is the winning trial's, test the refitted winner's."""
    table = Table(title="Metrics", title_justify="left", padding=(0, 0), pad_edge=False)
    table.add_column("\nmetric", no_wrap=True)
    before = None
    for part, who in words.metric_heads(record):
        table.add_column(f"{'' if part == before else part}\n{who}", justify="right")
        before = part
    for row in words.metric_rows(record):
        table.add_row(*row)
    return table


def _front(record: StudyRecord) -> Table:
    table = _table(words.front_title(record))
    *heads, settings = words.front_head(record.goals)
    for heading in heads:
        table.add_column(heading, justify="right")
    table.add_column(settings, overflow="fold")
    for row in words.front_rows(record):
        table.add_row(*row)
    return table


def _finalists(record: StudyRecord) -> Table:
    table = _table(words.FINALISTS)
    for heading in words.finalist_head(record):
        table.add_column(heading, justify="right")
    for row in words.finalist_rows(record):
        table.add_row(*row)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left")
