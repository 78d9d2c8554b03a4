"""Plots that compare experiments: `MLflowPlotter` and the `hbpr plot` command."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashboards.plotter import MLflowPlotter

__all__ = ["MLflowPlotter"]


def __getattr__(name: str) -> Any:
    if name == "MLflowPlotter":
        from dashboards.plotter import MLflowPlotter

        return MLflowPlotter
    raise AttributeError(f"module 'dashboards' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
