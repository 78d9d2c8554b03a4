"""The command `hbpr tune`, also `python -m tune`: run a study and show what it found."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hbpr.cli.options import set_option

if TYPE_CHECKING:
    from tune.settings import StudyPlan

_NEWEST = "newest"


@click.command(
    "tune",
    epilog="""\b
Examples:
  hbpr tune configs/quickstart.yaml
  hbpr tune configs/ml-100k.yaml --set sweep.num_trials=8 --set training.n_iter=20
  hbpr tune configs/ml-100k.yaml --cpus 1
  hbpr tune configs/ml-100k.yaml --dry-run
  hbpr tune configs/ml-100k.yaml --resume
  hbpr tune configs/ml-100k.yaml --address 10.0.0.5:6379
\b
From outside of a cluster, as a job on it:
  ray job submit --address http://10.0.0.5:8265 --working-dir . -- python -m tune CONFIG
\b
Ctrl-C ends the study in order; the command that goes on with it is printed.
""",
)
@click.argument("config", type=click.Path(path_type=Path), required=False, metavar="CONFIG")
@set_option
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Join this Ray cluster, or `auto` on one of its nodes. Default: RAY_ADDRESS where it is "
    "set (as in a Ray job), else a private Ray on this machine.",
)
@click.option(
    "--resume",
    metavar="[FOLDER]",
    is_flag=False,
    flag_value=_NEWEST,
    help="Go on with the study in FOLDER, or with the newest unfinished one. Put it after CONFIG.",
)
@click.option(
    "--resume-or-start",
    metavar="[STUDY]",
    is_flag=False,
    flag_value=_NEWEST,
    help="For jobs that may be started again: go on with the unfinished study of these settings, "
    "or with the one called STUDY; where there is none, start it. Put it after CONFIG.",
)
@click.option(
    "--cpus",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPUs of the private Ray. Default: all of the machine.",
)
@click.option(
    "--dashboard",
    is_flag=True,
    help="Start the private Ray's dashboard on loopback; print its link.",
)
@click.option("--no-progress", is_flag=True, help="Show the result only.")
@click.option(
    "--dry-run", is_flag=True, help="Run one short trial, and print what the study would take."
)
@click.pass_context
def tune(  # noqa: PLR0913  # click's options
    ctx: click.Context,
    config: Path | None,
    overrides: tuple[str, ...],
    address: str | None,
    resume: str | None,
    resume_or_start: str | None,
    cpus: int | None,
    dashboard: bool,
    no_progress: bool,
    dry_run: bool,
) -> None:
    """Search for the best settings: run the study that CONFIG describes.

    Trials run in parallel and are recorded in MLflow. The best one is trained again on all but the
    test part, scored on it once beside a popularity baseline, and saved for serving.
    """
    from tune.settings import load_study
    from tune.storage.resume import newest_unfinished

    if config is None:
        raise click.UsageError(_without_config(resume))
    plan = load_study(config, overrides)
    if address and cpus:
        raise click.UsageError("--cpus sizes a private Ray; leave it out beside --address")
    if address and dashboard:
        raise click.UsageError(
            "--dashboard belongs to a private Ray; a cluster has its own, at port 8265 of its head"
        )
    if dry_run:
        from tune.forecast.estimate import estimate

        click.echo("\n".join(estimate(plan, address=address, cpus=cpus).lines()))
        return
    if resume and resume_or_start:
        raise click.UsageError("--resume and --resume-or-start exclude each other")
    folder, name = None, None
    if resume_or_start is not None:
        folder, name, result = _wanted(plan, resume_or_start)
        if result is not None:
            click.echo(f"study {name} has come to its result:\n{result}")
            return
    elif resume is not None:
        folder = newest_unfinished(plan.settings).told if resume == _NEWEST else resume
    again = [*ctx.command_path.split(), str(config)]
    for text in overrides:
        again += ["--set", text]
    run_and_show(
        plan,
        again=again,
        resume_option=True,
        address=address,
        cpus=cpus,
        dashboard=dashboard,
        progress=not no_progress,
        resume=folder,
        study_id=name,
    )


def _wanted(plan: "StudyPlan", study: str) -> tuple[str | None, str | None, str | None]:
    """Return what ``--resume-or-start`` means.

    Returns:
        The address of the study, if it exists; the id of a new one; the result of one that has come
        to it.
    """
    from tune.storage.resume import has_more_to_do, study_named, unfinished_like

    if study == _NEWEST:
        unfinished = unfinished_like(plan.settings)
        return None if unfinished is None else unfinished.told, None, None
    with study_named(plan.settings, study) as found:
        if found is None:
            return None, study, None
        over = not has_more_to_do(found, plan.settings)
        result = found.text.read_text(encoding="utf-8") if over else None
        return found.told, study, result


def _without_config(resume: str | None) -> str:
    """Say what to write instead of a command without CONFIG."""
    if resume is None:
        return "Missing argument CONFIG: the settings file of the study, .yaml"
    folder = "FOLDER" if resume == _NEWEST else shlex.quote(resume)
    return (
        "--resume: missing argument CONFIG, the settings file of the study. Go on with the newest "
        "unfinished study of a file by: hbpr tune CONFIG --resume; with a study by its folder "
        f"alone: hbpr study resume {folder}"
    )


def run_and_show(
    plan: "StudyPlan",
    *,
    again: list[str],
    resume_option: bool,
    address: str | None,
    cpus: int | None,
    progress: bool,
    resume: str | Path | None,
    **more: Any,
) -> None:
    """Run a study and print its summary; where it is stopped, print how to go on.

    Args:
        plan: The study's.
        again: The words of the command that goes on with it.
        resume_option: Whether the command needs ``--resume FOLDER`` for that.
        address: Ray cluster to join.
        cpus: CPUs of a private Ray.
        progress: Show progress.
        resume: Folder or URL of a study to go on with.
        **more: Further arguments of `tune.api.study.run`.
    """
    from rich.console import Console

    from tune.api.study import run
    from tune.study import StudyInterrupted

    try:
        study = run(plan, address=address, cpus=cpus, progress=progress, resume=resume, **more)
    except StudyInterrupted as stop:
        words = again + (["--address", address] if address else [])
        words += ["--cpus", str(cpus)] if cpus else []
        words += ["--resume", str(stop.folder)] if resume_option else []
        click.echo(f"{stop}\nGo on with it:\n  {shlex.join(words)}", err=True)
        raise
    from tune.report.terminal import show

    show(study.record, Console())
