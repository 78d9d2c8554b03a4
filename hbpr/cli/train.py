"""`hbpr train`: one model, its validation metrics as they come, its test metrics at the end."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hbpr.cli.options import config_argument, set_option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hbpr.data import Interactions
    from hbpr.names import Part
    from hbpr.settings import TrialSettings
    from hbpr.training import EpochReport


@click.command(
    epilog="""\b
Examples:
  hbpr train configs/ml-100k.yaml
  hbpr train configs/ml-100k.yaml --set training.n_iter=20 --set optimizer.lr=1e-2
  hbpr train configs/quickstart.yaml -o model && hbpr serve model
"""
)
@config_argument
@set_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to save the trained recommender in.",
)
def train(config: Path, overrides: tuple[str, ...], output: Path | None) -> None:
    """Train one model with the settings of CONFIG and record it in MLflow.

    A sweep section of the file is left out. Early stopping looks at the validation part; the test
    part is scored once, with the weights of the best epoch, beside a ranking by popularity. The
    record holds the trained model; -o saves it in a folder of your own as well.
    """
    from hbpr.settings import load_trial

    settings = load_trial(
        config, overrides
    )  # a slip in the file is reported before torch is loaded

    from rich.console import Console

    from hbpr.data import load_data
    from hbpr.pipeline import TrainingPipeline

    console = Console(highlight=False, soft_wrap=True)
    data = load_data(settings.data)
    console.print(
        f"{data.name}: {data.n_users:,} users, {data.n_items:,} items, "
        f"{data.train.n_pairs:,} positives to learn from; split {data.split}",
        markup=False,
    )
    with _Epochs(console, settings) as epochs:
        system = TrainingPipeline(settings).run(data, on_epoch=epochs.show)
    epochs.summary()
    console.print(_metrics_table(system.metrics, _popularity(data, settings)))
    if output is not None:
        system.save(output)
        console.print(
            f"saved in {output}; answer over HTTP with: hbpr serve {output}", markup=False
        )
    console.print(_where(settings), markup=False)


class _Epochs:
    """The terminal's view of a running training: a line an evaluation, and a bar below on a tty."""

    def __init__(self, console: "Console", settings: "TrialSettings") -> None:
        from rich.progress import Progress

        self._console = console
        self._monitor = settings.training.monitor
        self._last: EpochReport | None = None
        self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
        shape = settings.model
        epochs = shape.epochs(shape.model_dump(), settings.training.n_iter)
        self._task = self._bar.add_task("training", total=epochs)

    def __enter__(self) -> "_Epochs":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, report: "EpochReport") -> None:
        """Show one epoch; those with an evaluation leave a line."""
        self._last = report
        self._bar.update(self._task, completed=report.epoch)
        if report.metrics:
            self._console.print(
                f"epoch {report.epoch:>4}  loss {report.loss:.4f}  "
                f"{self._monitor} {report.metrics[self._monitor]:.4f}"
                f"{'  best so far' if report.is_best else ''}",
                markup=False,
            )

    def summary(self) -> None:
        """Say how the training ended."""
        if self._last is not None:
            how = "stopped early" if self._last.stopped_early else "ran to its end"
            self._console.print(
                f"{how} after {self._last.epoch} epochs; best epoch {self._last.best_epoch}"
            )


def _popularity(data: "Interactions", settings: "TrialSettings") -> dict[str, float]:
    """Return the metrics of a ranking by popularity, which every model must beat."""
    from hbpr.baselines import Popularity
    from hbpr.evaluation import evaluate_part

    parts: list[Part] = ["val"] if data.validation.n_pairs else []
    parts += ["test"] if data.test.n_pairs else []
    metrics: dict[str, float] = {}
    for part in parts:
        training = settings.training
        metrics |= evaluate_part(
            Popularity(data.train), data, part, training.top_k, training.metrics
        ).metrics
    return metrics


def _metrics_table(metrics: Mapping[str, float], popularity: Mapping[str, float]) -> "Table":
    """Lay metrics of both parts out side by side, the model's beside those of popularity."""
    from rich.table import Table

    table = Table("metric")
    for heading in ("validation", "popularity validation", "test", "popularity test"):
        table.add_column(heading, justify="right")
    for name in dict.fromkeys(full.partition("/")[2] for full in metrics):
        values = [
            each.get(f"{part}/{name}") for part in ("val", "test") for each in (metrics, popularity)
        ]
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in values))
    return table


def _where(settings: "TrialSettings") -> str:
    """Say where the record is and how to look at it."""
    from hbpr.settings import mask_secrets

    uri = mask_secrets(settings.mlflow.tracking_uri)
    text = f"recorded in experiment {settings.mlflow.experiment_name} at {uri}"
    if uri.startswith("sqlite:"):
        text += (
            "\nlook at it with: MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false "
            f"mlflow server --backend-store-uri {shlex.quote(uri)} --port 5000"
        )
    return text
