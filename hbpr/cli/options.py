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


def length_option(text: str) -> Callable[[F], F]:
    """Return what adds the option -k, the length of a list, passed as `k`.

    Args:
        text: Its help.
    """
    return click.option(
        "-k", default=10, show_default=True, type=click.IntRange(1, 100_000), help=text
    )


def model_options(function: F) -> F:
    """Add what finds and loads MODEL: --allow, passed as `allow`, and --tracking-uri."""
    function = click.option(
        "--tracking-uri",
        metavar="URI",
        help="MLflow of a model URI.  [default: MLFLOW_TRACKING_URI, else ./mlflow.db]",
    )(function)
    return click.option(
        "--allow",
        multiple=True,
        metavar="MODULE",
        help="Let a model's class be imported from this module. May be repeated.",
    )(function)
