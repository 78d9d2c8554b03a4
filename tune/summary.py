"""The last page of a study, for the terminal."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hbpr.mlflow_log import mask_uri
from tune.progress import STATES, duration
from tune.result import StudyResult


def show(result: StudyResult, console: Console) -> None:
    """Print the winner, its metrics beside popularity's, where the records are, and what next."""
    states = ", ".join(f"{result.states.get(state, 0)} {word}" for state, word in STATES.items())
    console.print(
        f"\n[bold]Study {result.study_id}[/] of experiment {result.experiment}: "
        f"{len(result.trials)} trials ({states}) in {duration(result.wall_s)}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_settings(result))
    console.print(_metrics(result))
    lines = [
        f"Time     trials ran for {duration(result.search_s)}; training and evaluation took "
        f"{result.busy_share:.0%} of {result.cpus:g} CPUs",
        f"Records  MLflow {mask_uri(result.tracking_uri)}, experiment {result.experiment}",
        f"Folder   {_near(result.folder)}",
        "",
        "Next",
        *(f"  {what:7}{command}" for what, command in next_commands(result)),
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


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
        ("serve", f"{program('hbpr')} serve {shlex.quote(_near(result.model_folder))}"),
    ]


def program(name: str) -> str:
    """Return how a program of this environment is called from the current folder."""
    own = Path(sys.executable).parent / name
    found = shutil.which(name)
    if not own.exists() or (found is not None and Path(found).absolute() == own):
        return name
    return shlex.quote(_near(own))


def _near(path: Path) -> str:
    """Return the path relative to the current folder, if it lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _settings(result: StudyResult) -> Table:
    table = Table(title=f"Best settings (trial {result.best.number})", title_justify="left")
    table.add_column("setting")
    table.add_column("value", justify="right")
    for key, value in result.best.values.items():
        table.add_row(key, f"{value:.5g}" if isinstance(value, float) else str(value))
    table.add_row("epochs", str(result.best.best_epoch))
    return table


def _metrics(result: StudyResult) -> Table:
    """One row a metric; validation is the winning trial's, test the refitted winner's."""
    table = Table(title="Metrics", title_justify="left")
    table.add_column("metric")
    for heading in ("validation", "popularity", "test", "popularity"):
        table.add_column(heading, justify="right")
    base = result.baseline_metrics
    columns = (
        ("val", result.validation_metrics),
        ("val", base),
        ("test", result.test_metrics),
        ("test", base),
    )
    names = dict.fromkeys(
        name.partition("/")[2]
        for part, metrics in columns
        for name in metrics
        if name.startswith(f"{part}/")
    )
    for name in names:
        values = (metrics.get(f"{part}/{name}") for part, metrics in columns)
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in values))
    return table
