"""`hbpr plot` and `hbpr report`: experiments as one picture, and as one page with everything."""

import shlex

import click

from dashboards.kinds import KINDS
from hbpr.errors import ConfigError

_URI = click.option(
    "--tracking-uri",
    help="MLflow to read.  [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]",
)
_METRIC = click.option(
    "--metric", help="Metric to compare runs by.  [default: the one that the studies maximise]"
)
_STUDY = click.option("--study", help="Name or id of one study.  [default: all runs]")
_PLOT_EPILOG = """\b
Kinds:
{kinds}

\b
Examples:
  hbpr plot curves ml-100k -o curves.png
  hbpr plot cost ml-100k ml-100k-random -o cost.pdf
  hbpr plot contour ml-100k --setting optimizer.lr --setting model.n_latent -o contour.html
""".format(kinds="\n".join(f"  {name:<12} {kind.help}" for name, kind in KINDS.items()))
_REPORT_EPILOG = """\b
Examples:
  hbpr report ml-100k -o ml-100k.html
  hbpr report ml-100k ml-1m -o both.html --csv trials.csv --parquet curves.parquet
"""


@click.command(epilog=_PLOT_EPILOG)
@click.argument("kind", metavar="KIND")
@click.argument("experiments", nargs=-1, metavar="EXPERIMENT...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="File to write: .png, .svg or .pdf for papers, .html to point at marks.",
)
@click.option(
    "--setting",
    "settings",
    multiple=True,
    help="Setting to show, for slices, parallel and contour. May be repeated.",
)
@_METRIC
@_STUDY
@_URI
def plot(
    kind: str,
    experiments: tuple[str, ...],
    output: str,
    settings: tuple[str, ...],
    metric: str | None,
    study: str | None,
    tracking_uri: str | None,
) -> None:
    """Draw a picture of one KIND of the runs of one or several experiments."""
    from dashboards.picture import SUFFIXES, checked_target
    from dashboards.plotter import MLflowPlotter

    if not experiments:
        named = ("curves", kind) if kind not in KINDS else (kind, "EXPERIMENT")
        raise ConfigError(
            f"hbpr plot takes a kind and then experiments, got {kind!r} alone: "
            f"{shlex.join(('hbpr', 'plot', *named, '-o', output))}. Kinds: {', '.join(KINDS)}"
        )
    checked_target(output, SUFFIXES)
    picture = MLflowPlotter(tracking_uri).plot(
        kind, experiments, settings=settings, metric=metric, study=study
    )
    click.echo(f"wrote {picture.save(output)}")


@click.command(epilog=_REPORT_EPILOG)
@click.argument("experiments", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="HTML file to write; it needs nothing beside it.",
)
@click.option("--csv", type=click.Path(dir_okay=False), help="Write the table of runs, too.")
@click.option("--parquet", type=click.Path(dir_okay=False), help="Write all curves, too.")
@_METRIC
@_STUDY
@_URI
def report(
    experiments: tuple[str, ...],
    output: str,
    csv: str | None,
    parquet: str | None,
    metric: str | None,
    study: str | None,
    tracking_uri: str | None,
) -> None:
    """Write one page of one or several experiments: answer, runs, plots, data and cost."""
    from dashboards.picture import checked_target
    from dashboards.plotter import MLflowPlotter

    files = [(csv, (".csv",), False), (parquet, (".parquet",), True)]
    for path, suffixes, _ in files:
        if path is not None:
            checked_target(path, suffixes)
    plotter = MLflowPlotter(tracking_uri)
    page = plotter.report(experiments, output, metric=metric, study=study)
    click.echo(f"wrote {page}")
    for path, _, curves in files:
        if path is not None:
            plotter.save_table(experiments, path, metric=metric, study=study, curves=curves)
            click.echo(f"wrote {path}")


_COMPARE_EPILOG = """\b
Examples:
  hbpr compare ml-100k ml-100k-random
  hbpr compare ml-100k/20261129-150317-d2b3 ml-100k/20261129-151053-5369 --metric val/ndcg_at_10
"""


@click.command(epilog=_COMPARE_EPILOG)
@click.argument("left")
@click.argument("right")
@_METRIC
@_URI
def compare(left: str, right: str, metric: str | None, tracking_uri: str | None) -> None:
    """Compare the best runs of LEFT and RIGHT: settings that differ, metrics, and how sure it is.

    Each is an experiment, or EXPERIMENT/STUDY with the id of a study. Runs are compared where they
    were judged on the same data and split; what only one side was judged on is named.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dashboards.plotter import MLflowPlotter

    compared = MLflowPlotter(tracking_uri).compare(left, right, metric=metric)
    console = Console()
    for found in compared.found:
        table = Table(
            box=None, pad_edge=False, title=f"On {escape(found.data)}", title_justify="left"
        )
        for head in ("", *found.names):
            table.add_column(escape(head), overflow="fold")
        for row in found.metric_rows:
            table.add_row(*map(escape, row))
        table.add_section()
        for row in found.settings:
            table.add_row(*map(escape, row))
        console.print(table)
        console.print(escape(found.verdict), end="\n\n")
    for line in compared.apart:
        console.print(escape(line))
