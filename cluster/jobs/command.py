"""`hbpr jobs`: the studies that run as jobs on a cluster."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def address_option(function: F) -> F:
    """Add the option --address of a cluster's dashboard."""
    return click.option(
        "--address",
        metavar="URL",
        required=True,
        envvar="RAY_API_SERVER_ADDRESS",
        show_envvar=True,
        help="Dashboard of the cluster's head, such as http://10.0.0.5:8265.",
    )(function)


@click.group(
    "jobs",
    epilog="""\b
Examples:
  hbpr jobs list --address http://10.0.0.5:8265
  export RAY_API_SERVER_ADDRESS=http://10.0.0.5:8265
  hbpr jobs logs JOB --follow
  hbpr jobs stop JOB
  hbpr jobs resume JOB --follow
""",
)
def jobs() -> None:
    """List, follow, stop and resume studies that run as jobs on a cluster."""


@jobs.command("list", epilog="\b\nExample:\n  hbpr jobs list --address http://10.0.0.5:8265\n")
@address_option
def list_(address: str) -> None:
    """List the jobs that hbpr submit made, oldest first."""
    from rich.console import Console
    from rich.table import Table

    from cluster.jobs.client import EXPERIMENT, STUDY, connect, studies

    found = studies(connect(address))
    if not found:
        click.echo("no jobs of hbpr there; hbpr submit CONFIG makes one")
        return
    table = Table()
    for heading in ("job", "experiment", "study", "state", "started"):
        table.add_column(heading, overflow="fold")
    for job in found:
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime((job.start_time or 0) / 1000))
        about = job.metadata or {}
        row = (job.submission_id or "", about.get(EXPERIMENT, ""), about[STUDY])
        table.add_row(*row, str(job.status.value), started)
    Console().print(table, highlight=False)


@jobs.command(epilog="\b\nExample:\n  hbpr jobs logs JOB --follow\n")
@click.argument("job")
@address_option
@click.option(
    "--follow", "follows", is_flag=True, help="Until the job ends; its exit code is ours."
)
def logs(job: str, address: str, follows: bool) -> int:
    """Print what JOB has printed."""
    from cluster.jobs.client import connect, details, follow

    client = connect(address)
    details(client, job)
    if follows:
        return follow(client, job, _write)
    click.echo(client.get_job_logs(job), nl=False)
    return 0


@jobs.command(epilog="\b\nExample:\n  hbpr jobs stop JOB\n")
@click.argument("job")
@address_option
def stop(job: str, address: str) -> None:
    """Stop JOB; its study ends in order and can be resumed."""
    from cluster.jobs.client import connect, details, wait

    client = connect(address)
    if details(client, job).status.is_terminal():
        click.echo(f"job {job} has ended already")
        return
    client.stop_job(job)
    wait(client, job)
    click.echo(f"job {job} is stopped. Go on with it: hbpr jobs resume {job} --address {address}")


@jobs.command(epilog="\b\nExample:\n  hbpr jobs resume JOB --follow\n")
@click.argument("job")
@address_option
@click.option("--follow", "follows", is_flag=True, help="Follow its log until it ends.")
def resume(job: str, address: str, follows: bool) -> int:
    """Go on with the study of JOB, stopped or failed."""
    from cluster.jobs.client import again, connect

    client = connect(address)
    return started(client, again(client, job), address, follows=follows)


def started(client: Any, job: str, address: str, *, follows: bool) -> int:
    """Say how to go on with a job that was started, or follow it; return the exit code."""
    from cluster.jobs.client import follow

    click.echo(
        f"job {job} is submitted. Its log: hbpr jobs logs {job} --address {address} --follow",
        err=follows,
    )
    return follow(client, job, _write) if follows else 0


def _write(text: str) -> None:
    click.echo(text, nl=False)
