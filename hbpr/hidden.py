"""A module of the user's that hides one of hbpr's packages: said, before it runs in its place."""

import importlib.util
from pathlib import Path

from hbpr.errors import ConfigError


def check_not_hidden(package: str) -> None:
    """Make sure that a package of hbpr is what its name imports; nothing is imported.

    Args:
        package: ``tune``, ``cluster`` or ``dashboards``; one that is not there at all is left to
            the import.

    Raises:
        ConfigError: A file or folder of that name comes first on Python's path; it is named.
    """
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module put into sys.modules by hand
        return
    if spec is None:
        return
    found = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "."))
    ours = Path(__file__).parents[1] / package
    if found.resolve().is_relative_to(ours.resolve()):
        return
    found = found.parent if found.name == "__init__.py" else found
    raise ConfigError(
        f"{found} hides the package {package} of hbpr, which is in {ours}: Python finds it first. "
        "Rename it, or start hbpr in another folder"
    )
