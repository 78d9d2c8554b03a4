"""Dashboards for Grafana on what a study tells Prometheus: studies, and the nodes they run on.

They are JSON as Grafana imports it. The data source is a variable, so they fit any Prometheus.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

#: Files of this folder, each a dashboard.
DASHBOARDS: Final = ("studies.json", "nodes.json")


def write_dashboards(folder: Path) -> list[Path]:
    """Write all dashboards into a folder, which is made if needed, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in DASHBOARDS:
        path = folder / f"hbpr-{name}"
        path.write_text(files(__package__).joinpath(name).read_text("utf-8"), "utf-8")
        written.append(path)
    return written
