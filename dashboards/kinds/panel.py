"""Warm or cold by features by negatives: what each combination came to at its best."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dashboards.kinds.common import counted
from dashboards.marks import Axis, Heat, Panel
from dashboards.picture import Picture
from dashboards.records import Records
from dashboards.scales import level_text
from dashboards.words import metric_label
from hbpr.errors import ConfigError


def panel(records: Records, names: Sequence[str] = ()) -> Picture:
    """Return a table of colours for each group of data: features down, negatives across.

    A cell has the best value of its runs and how many they are.

    Raises:
        ConfigError: No run has a value, or all have the same features and negatives.
    """
    cells: dict[tuple[str, bool], dict[tuple[str, str], list[float]]] = {}
    for row, (trial, data) in enumerate(zip(records.trials, records.runs["data"], strict=True)):
        if trial.value is None:
            continue
        settings = records.settings_of(row)
        cold = is_cold(settings, records.exams[data].split)
        place = features_of(settings), str(level_text(settings.get("training.negatives.kind")))
        cells.setdefault((data, cold), {}).setdefault(place, []).append(trial.value)
    if not cells:
        raise ConfigError(f"{records.title}: no run has a value")
    if sum(map(len, cells.values())) == 1:
        raise ConfigError(f"{records.title}: all runs have the same features and negatives")
    panels = []
    for (data, cold), found in sorted(cells.items(), key=lambda pair: (pair[0][1], pair[0][0])):
        across = sorted({negatives for _, negatives in found})
        down = sorted({features for features, _ in found})
        values = np.full((len(down), len(across)), np.nan)
        texts = [["" for _ in across] for _ in down]
        for (features, negatives), reached in found.items():
            best = min(reached) if records.lower else max(reached)
            i, j = down.index(features), across.index(negatives)
            values[i, j], texts[i][j] = best, f"{best:.4f} ({len(reached)})"
        heat = Heat(
            np.arange(len(across), dtype=float),
            np.arange(len(down), dtype=float),
            values,
            metric_label(records.metric),
            tuple(map(tuple, texts)),
        )
        ticks = [tuple((float(i), text) for i, text in enumerate(each)) for each in (across, down)]
        title = f"{'cold' if cold else 'warm'}: {data}"
        x = Axis("negatives", ticks=ticks[0], low=-0.5, high=len(across) - 0.5)
        y = Axis("features", ticks=ticks[1], low=-0.5, high=len(down) - 0.5)
        panels.append(Panel(x, y, (heat,), title))
    return Picture(
        "panel",
        f"Warm or cold, features, negatives: {records.title}",
        f"{counted(records)} Best value (runs) of each combination; colours compare in one panel.",
        tuple(panels),
        min(len(panels), 2),
    )


def features_of(settings: Mapping[str, Any]) -> str:
    """Return which features a run learnt from, in words.

    Example:
        >>> features_of({"data.item_feature": "both"})
        'items: both'
    """
    said = [
        f"{who}s: {level_text(settings[key])}"
        for who in ("item", "user")
        if settings.get(key := f"data.{who}_feature") is not None
    ]
    return ", ".join(said) or "not recorded"


def is_cold(settings: Mapping[str, Any], split: str) -> bool:
    """Whether what is held out are new items or users."""
    kind = str(settings.get("data.split.kind", ""))
    return kind.startswith("cold_") or split.startswith("cold ")
