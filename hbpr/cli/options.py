"""Arguments and options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def config_argument(function: F) -> F:
    """Add the argument CONFIG, passed as `config`: a path that the settings' loader opens."""
    return click.argument("config", type=click.Path(path_type=Path))(function)


def set_option(function: F) -> F:
    """Add the option --set KEY=VALUE, which may be repeated, passed as `overrides`."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Override a setting, for example training.n_iter=20. May be repeated.",
    )(function)
