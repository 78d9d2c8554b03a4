"""The report as one HTML file that needs nothing else: images are inside."""

import base64
import html
import io
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from dashboards.figures import metric_label
from dashboards.records import Records

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #202124; margin: 2rem auto; max-width: 1280px;
  padding: 0 1rem; }}
h1 {{ margin: 0; font-size: 1.6rem; }}
.best {{ border-left: 4px solid #D55E00; padding: .3rem 1rem; margin: 1rem 0; }}
.best b {{ font-size: 1.25rem; }}
img {{ width: 100%; height: auto; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #E3E5E8;
  white-space: nowrap; }}
thead th {{ position: sticky; top: 0; background: #fff; }}
tbody tr:first-child {{ background: #FDEFE6; }}
code {{ font-size: 13px; }}
</style></head><body>
<h1>{title}</h1>
<p class="best"><b>{value}</b> {metric} by {run} at epoch {epoch}<br>{settings}</p>
<img alt="Learning curves, progress of the search, and values against settings"
 src="data:image/png;base64,{image}">
<h2>All runs</h2>
<div class="table">{table}</div>
</body></html>
"""


def write_page(path: Path, records: Records, figure: Figure, table: pd.DataFrame) -> None:
    """Write the page: the best run, the figure and the table of all runs."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    best = records.best()
    settings = ", ".join(
        f"<code>{html.escape(name)} = {html.escape(_text(best[name]))}</code>"
        for name in records.searched
        if not pd.isna(best[name])
    )
    page = _PAGE.format(
        title=html.escape(records.experiment),
        value=f"{best['value']:.4f}",
        metric=html.escape(metric_label(records.metric)),
        run=html.escape(str(best["run"])),
        epoch=best["best_epoch"],
        settings=settings,
        image=base64.b64encode(image.getvalue()).decode(),
        table=table.map(_text).to_html(border=0, escape=True),
    )
    path.write_text(page, encoding="utf-8")


def _text(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
