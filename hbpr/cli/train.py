"""`hbpr train`: one model, its validation metrics as they come, its test metrics at the end."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hbpr.cli.options import config_argument, set_option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from hbpr.data import Interactions
    from hbpr.inference.system import RecommendationSystem
    from hbpr.settings import TrialSettings
    from hbpr.tracking.findings import BaselineRecord, Comparison
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
    part is scored once, with the weights of the best epoch, beside the baselines, popularity and
    EASE. The record holds the trained model; -o saves it in a folder of your own as well.
    """
    from hbpr.settings import load_trial

    settings = load_trial(
        config, overrides
    )  # a slip in the file is reported before torch is loaded

    from rich.console import Console

    from hbpr.data import load_data
    from hbpr.pipeline import TrainingPipeline
    from hbpr.training.remarks import remarks

    console = Console(highlight=False, soft_wrap=True)
    data = load_data(settings.data)
    console.print(
        f"{data.name}: {data.n_users:,} {'user' if data.n_users == 1 else 'users'}, "
        f"{data.n_items:,} {'item' if data.n_items == 1 else 'items'}, "
        f"{data.train.n_pairs:,} positives to learn from; split {data.split}",
        markup=False,
    )
    if not settings.model.solved:
        for remark in remarks(settings.training.negatives, data):
            console.print(remark, markup=False)
    with _Epochs(console, settings) as epochs:
        system = TrainingPipeline(settings).run(data, on_epoch=epochs.show)
    epochs.summary()
    beside, comparisons = _beside(system, data, settings)
    console.print(_metrics_table(system.metrics, beside))
    for found in comparisons:
        console.print(_paired(found, settings.training.monitor), markup=False)
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


def _beside(
    system: "RecommendationSystem", data: "Interactions", settings: "TrialSettings"
) -> "tuple[list[BaselineRecord], list[Comparison]]":
    """Return the metrics of each baseline, and the model against each on validation."""
    from hbpr.baselines import ChosenBaseline
    from hbpr.baselines.choose import choose_baselines
    from hbpr.baselines.compare import compare, judge
    from hbpr.baselines.popularity import POPULARITY
    from hbpr.data.parts import can_be_ranked
    from hbpr.evaluation import evaluate_part
    from hbpr.tracking.findings import BaselineRecord

    training, chosen = settings.training, [ChosenBaseline("popularity", POPULARITY, {})]
    own = None
    if data.validation.n_pairs:  # it chooses the settings of the others
        chosen = choose_baselines(data, training)
        own = judge(system.model, data, training)[:2]
    records, comparisons = [], []
    for each in chosen:
        scorer = each.fit(data.train)
        val: dict[str, float] = {}
        test: dict[str, float] = {}
        if own is not None:
            users, values, val = judge(scorer, data, training)
            found = compare(own, (users, values), each.label)
            comparisons += [found] if found else []
        if can_be_ranked(data, "test"):
            test = dict(
                evaluate_part(scorer, data, "test", training.top_k, training.metrics).metrics
            )
        records.append(BaselineRecord(each.name, each.label, val, test))
    return records, comparisons


def _metrics_table(metrics: Mapping[str, float], beside: "Sequence[BaselineRecord]") -> "Table":
    """Lay metrics of both parts out side by side, the model's beside those of the baselines."""
    from rich.table import Table

    table = Table("\nmetric", padding=(0, 0), pad_edge=False)
    columns = []
    for part, word in (("val", "validation"), ("test", "test")):
        own = {name: value for name, value in metrics.items() if name.startswith(f"{part}/")}
        others = [(each.label, each.validation if part == "val" else each.test) for each in beside]
        for who, values in [("model", own), *others] if own else ():
            table.add_column(f"{word if who == 'model' else ''}\n{who}", justify="right")
            columns.append((part, values))
    for name in dict.fromkeys(full.partition("/")[2] for full in metrics):
        cells = [values.get(f"{part}/{name}") for part, values in columns]
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in cells))
    return table


def _paired(found: "Comparison", metric: str) -> str:
    """Say how the model compares with a baseline, and whether that is decided."""
    verdict = {
        "above": f"the model ranks above {found.other}",
        "below": f"{found.other} ranks above the model",
        "undecided": f"not decided whether the model or {found.other} ranks higher",
    }[found.verdict]
    return (
        f"{verdict} on {metric}: model - {found.other} = {found.difference:+.4f} (95 % interval "
        f"{found.low:+.4f} to {found.high:+.4f}, paired over {found.n_users:,} users)"
    )


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
