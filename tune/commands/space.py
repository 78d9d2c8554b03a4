"""The command `hbpr space`: look at a search space without running anything."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hbpr.cli.options import config_argument, set_option

if TYPE_CHECKING:
    from tune.settings import StudyPlan
    from tune.space import Space
    from tune.space.dimensions import Dimension
    from tune.storage.beginning import Beginning

_SAMPLES = 5


@click.group(
    "space",
    epilog="""\b
Examples:
  hbpr space show configs/ml-100k.yaml
""",
)
def space() -> None:
    """Look at a search space without running anything."""


@space.command(
    epilog="""\b
Examples:
  hbpr space show configs/ml-100k.yaml
  hbpr space show configs/ml-100k.yaml --set sweep.search.algorithm=qmc
""",
)
@config_argument
@set_option
def show(config: Path, overrides: tuple[str, ...]) -> None:
    """Print the space of CONFIG, its size and five sample settings.

    Nothing is downloaded, trained or recorded.
    """
    from tune.settings import load_study
    from tune.warm_start.earlier import read_beginning

    plan = load_study(config, overrides)
    for line in lines_of(plan, read_beginning(plan)):
        click.echo(line)


def lines_of(plan: "StudyPlan", beginning: "Beginning") -> list[str]:
    """Return a space in words.

    Args:
        plan: The study's.
        beginning: What the study would start from.
    """
    from tune.space.check import allowed_sample

    searched, algorithm = plan.space, plan.algorithm
    width = max(len(dimension.key) for dimension in searched.dimensions)
    lines = [f"{len(searched.dimensions)} dimensions, searched by {algorithm} in "]
    lines[0] += f"{plan.n_trials:,} trials"
    lines += [f"  {d.key:{width}}  {_domain(d)}{_when(d)}" for d in searched.dimensions]
    lines += [f"  constraint: {constraint.text}" for constraint in searched.constraints]
    lines += [f"  starts with: {_point(point)}" for point in beginning.points]
    known = Counter(trial.study for trial in beginning.earlier)
    lines += [f"  learns from: {count} trials of {name}" for name, count in known.items()]
    points = _grid(searched)
    samples = allowed_sample(searched, _SAMPLES)
    if isinstance(points, str):
        lines.append(f"Grid: {points}")
    else:
        lines.append(f"Grid: {len(points):,} points")
        last = len(points) - 1
        rows = sorted({round(i * last / (_SAMPLES - 1)) for i in range(_SAMPLES)})
        samples = [points[row] for row in rows] if algorithm == "grid" else samples
    lines.append("Sample settings:")
    return lines + [f"  {_point(sample)}" for sample in samples]


def _domain(dimension: "Dimension") -> str:
    from tune.space.domains import Choice

    domain = dimension.domain
    if isinstance(domain, Choice):
        return f"one of {', '.join(map(_short, domain.values))}"
    kind = "whole numbers" if isinstance(domain.low, int) else "numbers"
    step = "" if domain.step is None else f" in steps of {domain.step:g}"
    log = ", log scale" if domain.log else ""
    return f"{kind} {domain.low:g} to {domain.high:g}{step}{log}"


def _when(dimension: "Dimension") -> str:
    parts = [f"{key} is {' or '.join(map(_short, values))}" for key, values in dimension.when]
    return f", when {' and '.join(parts)}" if parts else ""


def _grid(searched: "Space") -> list[dict[str, Any]] | str:
    from hbpr.errors import SpaceError

    endless = [d.key for d in searched.dimensions if d.domain.points() is None]
    if endless:
        return f"none, since there is no step in {', '.join(endless)}"
    try:
        return searched.grid()
    except SpaceError as error:
        return str(error)


def _point(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_short(value)}" for key, value in values.items())


def _short(value: Any) -> str:
    from hbpr.settings.load import dotted

    if isinstance(value, Mapping):
        return f"{{{_point(dotted(value))}}}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
