"""The versions of what a study's figures may hang on."""

import platform
from importlib.metadata import version
from typing import Final

from hbpr.version import __version__

_LIBRARIES: Final = ("numpy", "torch", "numba", "ray", "optuna", "mlflow")


def versions() -> dict[str, str]:
    """Return the version of each by its name."""
    found = {"hbpr": __version__, "python": platform.python_version()}
    return found | {name: version(name) for name in _LIBRARIES}
