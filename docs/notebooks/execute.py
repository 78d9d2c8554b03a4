"""Write `search.ipynb` anew, executed: python docs/notebooks/execute.py.

The cells are here; the notebook is what came out when they ran, in a folder that is gone
afterwards.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
PROSE, CODE = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
Kind = Callable[..., nbformat.NotebookNode]
CELLS: list[tuple[Kind, str]] = [
    (
        PROSE,
        """# Find the best settings from Python

Who liked what, as a data frame, becomes a recommender: `hbpr.search` tries settings in parallel,
stops weak trials early, and trains the best one again. Nothing here needs a network. The guide is
[From Python](../guides/python.md).""",
    ),
    (
        CODE,
        """import numpy as np
import pandas as pd

import hbpr

rng = np.random.default_rng(7)
n_users, n_items = 400, 150
taste = rng.normal(size=(n_users, 4)) @ rng.normal(size=(4, n_items))  # what there is to find
users, items = rng.integers(0, n_users, 20_000), rng.integers(0, n_items, 20_000)
liked = taste[users, items] > 1.5
plays = pd.DataFrame({"listener": users[liked], "song": items[liked]}).drop_duplicates()
plays.head()""",
    ),
    (
        PROSE,
        """A space is what a file has under `sweep.space`; ranges can also be written as
objects. What is not searched has values that rank well on most data.""",
    ),
    (
        CODE,
        """ended = []


def note(event):
    if isinstance(event, hbpr.TrialEnd):
        ended.append((event.trial, event.state, event.epochs))


study = hbpr.search(
    plays,
    columns={"user": "listener", "item": "song"},
    space={
        "model.n_latent": [8, 16, 32],
        "model.temperature": hbpr.Uniform(0.1, 0.4),
        "optimizer.lr": hbpr.LogUniform(0.01, 0.1),
    },
    metric="val/ndcg_at_10",
    num_trials=8,
    final={"top": 2, "seeds": 4},  # the best two once more, with other seeds
    experiment="songs",
    callbacks=note,
    cpus=2,
)""",
    ),
    (CODE, """study"""),
    (CODE, """study.best_settings, study.best_value"""),
    (
        CODE,
        """study.to_frame().sort_values("value", ascending=False).drop(columns="run_id").head()""",
    ),
    (CODE, """ended"""),
    (PROSE, """The winner was trained again on all but the test part, and scored on it once."""),
    (CODE, """study.recommend([3, 4], k=3)"""),
    (
        PROSE,
        """A study can be found again by its folder or in MLflow, also in another process, and go
on.""",
    ),
    (
        CODE,
        """more = hbpr.Study.load(study.folder).resume(num_trials=10, cpus=2, progress=False)
len(more), more.best_settings""",
    ),
    (
        PROSE,
        """## Two studies, compared

A second search keeps the temperature at 1 (a list of one value) and is otherwise the same. Both
studies are judged on the same held-out songs, so
they compare: `MLflowPlotter` reads them from MLflow, says in which settings the two best runs
differ, and tests the difference over the seeds that both were repeated with. Where the interval
holds 0, as here, neither is ahead by more than chance
([the guide](../guides/plots.md)).""",
    ),
    (
        CODE,
        """fixed = hbpr.search(
    plays,
    columns={"user": "listener", "item": "song"},
    space={
        "model.n_latent": [8, 16, 32],
        "model.temperature": [1.0],
        "optimizer.lr": hbpr.LogUniform(0.01, 0.1),
    },
    metric="val/ndcg_at_10",
    num_trials=8,
    final={"top": 2, "seeds": 4},
    experiment="songs-fixed",
    cpus=2,
    progress=False,
)""",
    ),
    (
        CODE,
        """from dashboards import MLflowPlotter

plotter = MLflowPlotter("mlflow.db")
plotter.compare("songs", "songs-fixed", metric="val/ndcg_at_10")""",
    ),
    (CODE, """plotter.plot_runs_comparison(["songs", "songs-fixed"])"""),
    (CODE, """plotter.plot("seeds", ["songs", "songs-fixed"])"""),
    (
        PROSE,
        """## Parts of your own

A loss that is defined in the notebook is sent to the processes that train
([your own parts](../guides/your-own-parts.md)).""",
    ),
    (
        CODE,
        """from torch.nn.functional import softplus


def shifted(positive_B, negative_BN):
    return softplus(1.0 - (positive_B.unsqueeze(1) - negative_BN)).sum(1)


own = hbpr.search(
    plays,
    columns={"user": "listener", "item": "song"},
    base={"training": {"n_iter": 20, "loss_function": shifted}},
    space={"model.n_latent": [8, 16]},
    search="grid",
    experiment="songs",
    cpus=2,
    progress=False,
)
own.to_frame()[["model.n_latent", "state", "value"]]""",
    ),
]


def notebook() -> nbformat.NotebookNode:
    """Return the cells without outputs."""
    made = nbformat.v4.new_notebook()
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    made.cells = [kind(text, id=f"cell-{number}") for number, (kind, text) in enumerate(CELLS)]
    return made


def execute(made: nbformat.NotebookNode, folder: Path) -> None:
    """Run the cells in a folder; what they name of it is shown as if it were the current one."""
    NotebookClient(made, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if _is_shown(each)]
            for output in cell.outputs:
                data = output.get("data", {})
                if "image/png" in data:  # a live figure beside it would weigh megabytes
                    output.data = {key: data[key] for key in ("image/png", "text/plain")}
                for holder in (output, output.get("data", {})):
                    texts = {key: each for key, each in holder.items() if isinstance(each, str)}
                    holder.update(
                        {key: each.replace(f"{folder}/", "") for key, each in texts.items()}
                    )


def _is_shown(output: nbformat.NotebookNode) -> bool:
    """Whether somebody sees it: what is logged is left out, and what is empty."""
    return output.get("name") != "stderr" and output.get("data", {}).get("text/html") != ""


def main() -> None:
    """Write the notebook."""
    made = notebook()
    with tempfile.TemporaryDirectory(prefix="hbpr-notebook-") as folder:
        execute(made, Path(folder).resolve())
    made.metadata.pop("language_info", None)  # the version of this machine
    (HERE / "search.ipynb").write_text(f"{nbformat.writes(made).rstrip()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
