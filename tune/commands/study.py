"""The command `hbpr study`: list studies, look at one, go on with it, send its records."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hbpr.cli.options import set_option

if TYPE_CHECKING:
    from tune.storage.folder import StudyFolder


class _Study(click.ParamType[str | Path]):
    """The folder of a study, or its URL in an object store."""

    name = "study"

    def convert(self, value: Any, param: Any, ctx: Any) -> "str | Path":
        from hbpr.places import check_url, is_url

        if not is_url(str(value)):
            folder = click.Path(exists=True, file_okay=False, path_type=Path)
            return Path(folder.convert(value, param, ctx))
        check_url(value)
        return str(value).rstrip("/")


_STORAGE = click.option(
    "--storage",
    default="studies",
    show_default=True,
    metavar="FOLDER",
    help="Where studies are kept, as in sweep.storage.",
)
_FOLDER = click.argument("folder", type=_Study(), metavar="FOLDER")


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
  hbpr study list --storage s3://bucket/studies
""",
)
@_STORAGE
def list_(storage: str) -> None:
    """List the studies of a storage, newest last."""
    from rich.console import Console
    from rich.table import Table

    from hbpr.errors import HbprError
    from tune.storage.names import SETTINGS

    tables: dict[str, Table] = {}  # one for each metric: values of two have no common column
    with _studies_of(storage) as (place, found):
        for folder in sorted(found, key=lambda each: each.study_id):
            try:
                metric, *row = _row(folder)
            except HbprError as error:
                metric, row = "", [f"unreadable: {error}", "", ""]
            if metric not in tables:
                tables[metric] = Table(title=metric or None, title_justify="left")
                for heading in ("folder", "state", "trials", "best"):
                    tables[metric].add_column(heading, overflow="fold")
            tables[metric].add_row(_from_here(folder.told), *row)
    if not tables:
        click.echo(
            f"no studies in {place}: no EXPERIMENT/STUDY/{SETTINGS} is there; "
            "name the folder that sweep.storage names with --storage"
        )
    for table in tables.values():
        Console().print(table, highlight=False)


def _from_here(told: str) -> str:
    """Return the short name of a folder below this one; else what it is called."""
    path, here = Path(told), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else told


@contextmanager
def _studies_of(storage: str) -> "Iterator[tuple[str, list[StudyFolder]]]":
    """Have the studies of a storage at hand, and its full name."""
    from hbpr.errors import StudyFolderError
    from hbpr.places import check_url, is_url
    from tune.storage.bring import all_brought
    from tune.storage.folder import studies_in
    from tune.storage.where import root_of

    if is_url(storage):
        check_url(storage)
        with all_brought(storage.rstrip("/")) as studies:
            yield storage, studies
        return
    root = root_of(storage)
    if not root.is_dir():
        raise StudyFolderError(
            f"--storage {storage}: there is no folder {root}; name the folder that "
            "sweep.storage names"
        )
    yield str(root), [study for experiment in root.iterdir() for study in studies_in(experiment)]


@study.command(
    epilog="""\b
Example:
  hbpr study show studies/ml-100k/20260101-120000-ab12
""",
)
@_FOLDER
def show(folder: str | Path) -> None:
    """Print the result of the study in FOLDER, or how far it is."""
    from tune.storage.bring import at_hand

    with at_hand(folder) as about:
        _show(about, str(folder))


def _show(about: "StudyFolder", named: str) -> None:
    if about.finished and about.text.is_file():
        click.echo(about.text.read_text(encoding="utf-8").strip())
        return
    metric, state, trials, best = _row(about)
    best = f"{best} ({metric})" if best else ""
    click.echo(f"study {about.study_id}: {state}, trials: {trials}, best: {best}")
    for line in _front_so_far(about):
        click.echo(line)
    if state == "unfinished":
        click.echo(f"Go on with it: hbpr study resume {shlex.quote(named)}")


@study.command(
    epilog="""\b
Examples:
  hbpr study resume studies/ml-100k/20260101-120000-ab12
  hbpr study resume FOLDER --set sweep.num_trials=64
  hbpr study resume FOLDER --set sweep.budget.wall_s=3600
  hbpr study resume s3://bucket/studies/ml-100k/20260101-120000-ab12
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
    folder: str | Path,
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
    from tune.storage.bring import at_hand
    from tune.storage.folder import read_settings
    from tune.storage.resume import with_overrides

    with at_hand(folder) as about:
        settings, _ = read_settings(about.path)
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
def sync(folder: str | Path, tracking_uri: str | None) -> None:
    """Send to MLflow what of the study in FOLDER has not arrived there."""
    from hbpr.errors import TrackingError
    from tune.report.summary import records_arrived
    from tune.storage.names import OUTBOX, SET_ASIDE
    from tune.tracking.sync import sync as send

    with _held(folder) as about:
        counts = send(about.path, tracking_uri=tracking_uri)
        if not counts["left"]:
            records_arrived(about)
    if counts["left"]:
        raise TrackingError(
            f"{counts['sent']} records were sent, {counts['left']} still wait in {folder}; "
            "call it again when MLflow answers. What it answers to and still cannot take is in "
            f"{OUTBOX}/{SET_ASIDE}"
        )
    click.echo(f"{counts['sent']} records were sent; MLflow has everything of this study")


@contextmanager
def _held(reference: str | Path) -> "Iterator[StudyFolder]":
    """Have a study in a folder of this machine, to change it; changes go to its object store."""
    from hbpr.places import is_url
    from tune.settings import plan_of_started
    from tune.storage.bring import at_hand
    from tune.storage.folder import StudyFolder, read_settings
    from tune.storage.opened import opened

    if not is_url(str(reference)):
        yield StudyFolder(Path(reference).absolute())
        return
    with at_hand(reference) as about:
        plan = plan_of_started(read_settings(about.path)[0])
    with opened(plan, reference) as storage:
        yield storage.folder


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


def _runs(folder: "StudyFolder") -> bool:
    """Return whether a driver runs a study."""
    from hbpr.places import Place
    from tune.storage.lease import seems_held
    from tune.tracking.outbox import is_in_use

    return seems_held(Place.of(folder.url)) if folder.url else is_in_use(folder.path)


def _row(folder: "StudyFolder") -> tuple[str, str, str, str]:
    """Return metric, state, trials and best value of a study in words.

    Raises:
        StudyFolderError: It is none, or one of another version of hbpr.
    """
    from tune.report.summary import headline
    from tune.settings import plan_of_started
    from tune.storage.folder import read_settings
    from tune.storage.trials import read_journal

    settings = read_settings(folder.path)[0]
    metric = settings.sweep.metric
    if folder.finished:
        n_trials, best = headline(folder)
        return metric, "finished", str(n_trials), f"{best:.4f}"
    state = "running" if _runs(folder) else "unfinished"
    plan = plan_of_started(settings)
    trials = read_journal(folder.path, plan.space)
    n_trials = plan.n_trials + plan.most_copies
    ended = [trial for trial in trials if trial.state != "RUNNING"]
    able = [trial for trial in trials if plan.goals.feasible(trial.at_best)]
    values = [trial.value for trial in able if trial.value is not None]
    return metric, state, f"{len(ended)} of {n_trials}", f"{max(values):.4f}" if values else ""
