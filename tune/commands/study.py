"""The command `hbpr study`: list studies, look at one, go on with it, send its records."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hbpr.cli.options import set_option

if TYPE_CHECKING:
    from tune.storage.folder import StudyFolder

_STORAGE = click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("studies"),
    show_default=True,
    help="Folder of the studies' folders, as in sweep.storage.",
)
_FOLDER = click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="FOLDER"
)


@click.group(
    "study",
    epilog="""\b
Examples:
  hbpr study list
  hbpr study show studies/ml-100k/STUDY
  hbpr study resume studies/ml-100k/STUDY
""",
)
def study() -> None:
    """List studies, look at one, go on with it, send its records to MLflow."""


@study.command(
    "list",
    epilog="""\b
Examples:
  hbpr study list
  hbpr study list --storage /shared/studies
""",
)
@_STORAGE
def list_(storage: Path) -> None:
    """List the studies of a folder, newest last."""
    from rich.console import Console
    from rich.table import Table

    from hbpr.errors import HbprError, StudyFolderError
    from tune.storage.folder import studies_in
    from tune.storage.names import SETTINGS

    if not storage.is_dir():
        raise StudyFolderError(
            f"--storage {storage}: there is no folder {storage.absolute()}; name the folder that "
            "sweep.storage names"
        )
    found = [study for experiment in storage.iterdir() for study in studies_in(experiment)]
    if not found:
        click.echo(
            f"no studies in {storage.absolute()}: no EXPERIMENT/STUDY/{SETTINGS} is there; "
            "name the folder that sweep.storage names with --storage"
        )
        return
    tables: dict[str, Table] = {}  # one for each metric: values of two have no common column
    for folder in sorted(found, key=lambda each: each.study_id):
        try:
            metric, *row = _row(folder)
        except HbprError as error:
            metric, row = "", [f"unreadable: {error}", "", ""]
        if metric not in tables:
            tables[metric] = Table(title=metric or None, title_justify="left")
            for heading in ("folder", "state", "trials", "best"):
                tables[metric].add_column(heading, overflow="fold")
        tables[metric].add_row(str(folder.path), *row)
    for table in tables.values():
        Console().print(table, highlight=False)


@study.command(
    epilog="""\b
Example:
  hbpr study show studies/ml-100k/20260101-120000-ab12
""",
)
@_FOLDER
def show(folder: Path) -> None:
    """Print the result of the study in FOLDER, or how far it is."""
    from tune.storage.folder import StudyFolder

    about = StudyFolder(folder.absolute())
    if about.finished and about.text.is_file():
        click.echo(about.text.read_text(encoding="utf-8").strip())
        return
    metric, state, trials, best = _row(about)
    best = f"{best} ({metric})" if best else ""
    click.echo(f"study {about.study_id}: {state}, trials: {trials}, best: {best}")
    for line in _front_so_far(about):
        click.echo(line)
    if state == "unfinished":
        click.echo(f"Go on with it: hbpr study resume {shlex.quote(str(folder))}")


@study.command(
    epilog="""\b
Examples:
  hbpr study resume studies/ml-100k/20260101-120000-ab12
  hbpr study resume FOLDER --set sweep.num_trials=64
  hbpr study resume FOLDER --set sweep.budget.wall_s=3600
""",
)
@_FOLDER
@set_option
@click.option("--address", metavar="HOST:PORT", help="Join this Ray cluster.")
@click.option(
    "--cpus", type=click.IntRange(min=1), metavar="N", help="CPUs of a private Ray. Default: all."
)
@click.option("--no-progress", is_flag=True, help="Show the result only.")
@click.pass_context
def resume(
    ctx: click.Context,
    folder: Path,
    overrides: tuple[str, ...],
    address: str | None,
    cpus: int | None,
    no_progress: bool,
) -> None:
    """Go on with the study in FOLDER, with the settings that it keeps.

    Finished trials are kept, trials that ran go on from their checkpoints. More trials and another
    budget are accepted, also for a study that has come to its result.
    """
    from hbpr.errors import SpaceError, StudyFolderError
    from tune.commands.tune import run_and_show
    from tune.settings import make_plan
    from tune.storage.folder import read_settings
    from tune.storage.resume import with_overrides

    settings, _ = read_settings(folder)
    again = [*ctx.command_path.split(), str(folder)]
    for text in overrides:
        again += ["--set", text]
    try:
        plan = make_plan(with_overrides(settings, overrides))
    except SpaceError as error:
        raise StudyFolderError(
            f"{folder}: the study cannot go on, since an earlier version of hbpr let its space "
            f"through that is refused today: {error} What it found stays readable; start a new "
            "study with start_from or start_with to learn from it"
        ) from error
    run_and_show(
        plan,
        again=again,
        resume_option=False,
        address=address,
        cpus=cpus,
        progress=not no_progress,
        resume=folder,
    )


@study.command(
    epilog="""\b
Examples:
  hbpr study sync studies/ml-100k/20260101-120000-ab12
  hbpr study sync FOLDER --tracking-uri http://mlflow.local:5000
""",
)
@_FOLDER
@click.option("--tracking-uri", metavar="URI", help="Where to. Default: where it was recorded.")
def sync(folder: Path, tracking_uri: str | None) -> None:
    """Send to MLflow what of the study in FOLDER has not arrived there."""
    from hbpr.errors import TrackingError
    from tune.report.summary import records_arrived
    from tune.storage.folder import StudyFolder
    from tune.storage.names import OUTBOX, SET_ASIDE
    from tune.tracking.sync import sync as send

    counts = send(folder, tracking_uri=tracking_uri)
    if counts["left"]:
        raise TrackingError(
            f"{counts['sent']} records were sent, {counts['left']} still wait in {folder}; "
            "call it again when MLflow answers. What it answers to and still cannot take is in "
            f"{OUTBOX}/{SET_ASIDE}"
        )
    records_arrived(StudyFolder(folder.absolute()))
    click.echo(f"{counts['sent']} records were sent; MLflow has everything of this study")


def _front_so_far(folder: "StudyFolder") -> list[str]:
    """Return the Pareto front of an unfinished study; nothing where there is one objective."""
    from dashboards.words import front_head, front_row
    from tune.settings import plan_of_started
    from tune.storage.folder import read_settings
    from tune.storage.trials import read_journal

    if folder.finished:
        return []
    plan = plan_of_started(read_settings(folder.path)[0])
    trials, goals = read_journal(folder.path, plan.space), plan.goals
    front = goals.front(trials) if goals.several else []
    rows = [front_row(goals, trial.number, trial.at_best, trial.values) for trial in front]
    return ["Pareto front so far:", *map("  ".join, [front_head(goals), *rows])] if rows else []


def _row(folder: "StudyFolder") -> tuple[str, str, str, str]:
    """Return metric, state, trials and best value of a study in words.

    Raises:
        StudyFolderError: It is none, or one of another version of hbpr.
    """
    from tune.report.summary import headline
    from tune.settings import plan_of_started
    from tune.storage.folder import read_settings
    from tune.storage.trials import read_journal
    from tune.tracking.outbox import is_in_use

    settings = read_settings(folder.path)[0]
    metric = settings.sweep.metric
    if folder.finished:
        n_trials, best = headline(folder)
        return metric, "finished", str(n_trials), f"{best:.4f}"
    state = "running" if is_in_use(folder.path) else "unfinished"
    plan = plan_of_started(settings)
    trials = read_journal(folder.path, plan.space)
    n_trials = plan.n_trials + plan.most_copies
    ended = [trial for trial in trials if trial.state != "RUNNING"]
    able = [trial for trial in trials if plan.goals.feasible(trial.at_best)]
    values = [trial.value for trial in able if trial.value is not None]
    return metric, state, f"{len(ended)} of {n_trials}", f"{max(values):.4f}" if values else ""
