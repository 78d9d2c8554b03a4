"""`hbpr plot`: the runs of an experiment as a picture, a page or a table."""

import click

_EPILOG = """\b
Examples:
  hbpr plot ml-100k -o ml-100k.png
  hbpr plot ml-100k -o ml-100k.html --metric val/recall_at_20
  hbpr plot ml-100k -o trials.csv --study STUDY
  hbpr plot ml-100k -o curves.svg --tracking-uri http://127.0.0.1:5000
"""


@click.command(epilog=_EPILOG)
@click.argument("experiment")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="File to write: .png, .svg or .pdf (picture), .html (page with table), .csv (table).",
)
@click.option(
    "--metric", default="val/ndcg_at_10", show_default=True, help="Metric to compare runs by."
)
@click.option("--study", help="Name or id of one study.  [default: all runs]")
@click.option(
    "--tracking-uri",
    help="MLflow to read.  [default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]",
)
def plot(
    experiment: str, output: str, metric: str, study: str | None, tracking_uri: str | None
) -> None:
    """Plot the runs of EXPERIMENT.

    Shows the learning curves of all runs, how the search progressed, and the best values against
    each setting that was searched.
    """
    from dashboards.plotter import MLflowPlotter

    path = MLflowPlotter(tracking_uri).save(experiment, output, metric, study=study)
    click.echo(f"wrote {path}")
