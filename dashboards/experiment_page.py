"""The runs of an experiment as one HTML file that needs nothing beside it: images are inside."""

import base64
import io

import pandas as pd
from matplotlib.figure import Figure

from dashboards.charts import progress_chart
from dashboards.html import render
from dashboards.records import Records, as_cell, as_cells
from dashboards.words import metric_label


def experiment_page(records: Records, figure: Figure) -> str:
    """Return the page as HTML.

    Args:
        records: The runs.
        figure: Their learning curves, and their values against settings.
    """
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    best, table = records.best(), records.summary()
    return render(
        "experiment.html",
        title=records.experiment,
        value=f"{best['value']:.4f}",
        metric=metric_label(records.metric),
        run=best["run"],
        epoch=best["best_epoch"],
        settings=[
            (name, as_cell(best[name])) for name in records.searched if not pd.isna(best[name])
        ],
        image=base64.b64encode(image.getvalue()).decode(),
        progress=progress_chart(list(enumerate(records.trials, 1)), what="runs"),
        heads=["", *table],
        rows=[(str(rank), *cells) for rank, cells in enumerate(as_cells(table), 1)],
    )
