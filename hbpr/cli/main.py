"""The `hbpr` command: a group that imports a subcommand's module only when it runs.

``hbpr --help`` answers without torch, Ray, MLflow or pandas.
"""

import atexit
import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn

import click

from hbpr.errors import HbprError
from hbpr.hidden import check_not_hidden


class _Entry(NamedTuple):
    """Where a subcommand lives, and its line in the group's help."""

    module: str
    attribute: str
    help: str


COMMANDS: Final = {
    "init": _Entry("hbpr.cli.init", "init", "Write a study file to begin with."),
    "train": _Entry("hbpr.cli.train", "train", "Train one model with the settings of a file."),
    "tune": _Entry("tune.commands.tune", "tune", "Search for the best settings: run a study."),
    "watch": _Entry("tune.commands.watch", "watch", "Watch a study while it runs."),
    "submit": _Entry("tune.commands.submit", "submit", "Run a study as a job of a cluster."),
    "jobs": _Entry("cluster.jobs.command", "jobs", "List, follow, stop and resume such jobs."),
    "space": _Entry("tune.commands.space", "space", "Show a search space and sample settings."),
    "study": _Entry("tune.commands.study", "study", "List, show, resume and sync studies."),
    "simulate": _Entry(
        "tune.commands.simulate", "simulate", "Replay searches on recorded learning curves."
    ),
    "reproduce": _Entry(
        "hbpr.cli.reproduce", "reproduce", "Measure published results again, beside the published."
    ),
    "data": _Entry("hbpr.cli.data", "data", "Describe the data of a settings file."),
    "explain": _Entry("hbpr.cli.explain", "explain", "Say what a setting does."),
    "config": _Entry("hbpr.cli.config", "config", "Check a settings file, or print its schema."),
    "doctor": _Entry("hbpr.cli.doctor", "doctor", "Say what is installed and what runs here."),
    "warmup": _Entry("hbpr.cli.warmup", "warmup", "Compile once, before anything trains."),
    "completion": _Entry(
        "hbpr.cli.completion", "completion", "Complete commands and settings in your shell."
    ),
    "plot": _Entry("dashboards.commands", "plot", "Draw a picture of experiments."),
    "compare": _Entry("dashboards.commands", "compare", "Compare two experiments."),
    "report": _Entry("dashboards.commands", "report", "Write a page that compares experiments."),
    "cluster": _Entry(
        "cluster.manifests.command", "cluster", "Write manifests: Kubernetes, cloud, Slurm, Docker."
    ),
    "recommend": _Entry(
        "cluster.batch.command", "recommend", "Write the best items of many users into a file."
    ),
    "similar": _Entry("hbpr.cli.similar", "similar", "Show items like an item, users like a user."),
    "serve": _Entry("cluster.serving.command", "serve", "Answer recommendations over HTTP."),
}

_EPILOG: Final = """\b
Examples:
  hbpr config check configs/quickstart.yaml
  hbpr train configs/ml-100k.yaml --set training.n_iter=20
  hbpr tune configs/ml-100k.yaml
  hbpr plot curves ml-100k -o curves.png

\b
Exit codes:
  0    done
  1    the work failed
  2    bad input: a setting, an option, the data or an address
  130  interrupted (Ctrl-C)
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name.

        Raises:
            ConfigError: Another module hides its package.
            HbprError: Its module, or a package that it needs, is not installed.
        """
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        check_not_hidden(entry.module.partition(".")[0])
        try:
            module = importlib.import_module(entry.module)
        except ModuleNotFoundError as error:
            raise HbprError(
                f"hbpr {cmd_name}: module {error.name} is not installed. Install hbpr again, with "
                "what it requires: python -m pip install --upgrade hbpr, or in a checkout make demo"
            ) from error
        command: click.Command = getattr(module, entry.attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="hbpr", prog_name="hbpr")
@click.option(
    "-v", "--verbose", is_flag=True, help="Show what the library logs, not only warnings."
)
def cli(verbose: bool) -> None:
    """Find the best recommender for your data: hybrid BPR on Ray Tune, Optuna and MLflow."""
    if verbose:
        for package in ("hbpr", "tune", "cluster", "dashboards"):
            logging.getLogger(package).setLevel(logging.INFO)


def run(command: click.Command, args: Sequence[str] | None = None, prog_name: str = "hbpr") -> int:
    """Run a click command and return its exit code.

    Errors raised on purpose become one message without a traceback; others keep theirs.

    Args:
        command: The command or group.
        args: Arguments after the program's name; those of the process if None.
        prog_name: Name in usage messages.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        result: Any = command.main(args, prog_name=prog_name, standalone_mode=False)
    except HbprError as error:
        click.echo(f"error: {str(error).replace(chr(10), chr(10) + '       ')}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    return result if isinstance(result, int) else 0


def main() -> None:
    """Run the `hbpr` command and leave the process with its exit code."""
    leave(run(cli))


def leave(code: int) -> NoReturn:
    """End the process at once, after what was registered for its end.

    Taking torch, Ray and MLflow apart, module by module, takes longer than a second.
    """
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
