"""The command `hbpr watch`: look at a study that another process runs."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tune.storage.folder import StudyFolder


@click.command(
    "watch",
    epilog="""\b
Examples:
  hbpr watch studies/ml-100k                          the newest study of the experiment
  hbpr watch studies/ml-100k/20260101-120000-ab12
\b
Ctrl-C ends the watching alone; the study goes on.
""",
)
@click.argument("study", type=click.Path(path_type=Path), metavar="STUDY")
def watch(study: Path) -> None:
    """Watch the study in the folder STUDY while it runs: curves, states, nodes, best, time left.

    STUDY is the folder of a study, or that of an experiment, of which the newest study is shown.
    Where the output is no terminal, plain lines are written. A study that has come to its result is
    shown with it.
    """
    from rich.console import Console

    from tune.report.sight import Observer
    from tune.report.watch import watch as show

    folder = _study(study)
    console = Console()
    try:
        sight = show(Observer(folder), console)
    except KeyboardInterrupt:
        return
    if sight.state == "finished" and folder.text.is_file():
        click.echo(folder.text.read_text(encoding="utf-8").rstrip())
    elif sight.state == "unfinished":
        click.echo(
            f"Nobody runs it. Go on with it: hbpr study resume {shlex.quote(str(folder.path))}"
        )


def _study(path: Path) -> "StudyFolder":
    """Return the study of a folder, or the newest one of an experiment's folder."""
    from tune.storage.folder import StudyFolder, studies_in

    own = StudyFolder(path.absolute())
    if not own.settings.is_file():
        within = studies_in(own.path)
        if within:
            return within[-1]
    return own
