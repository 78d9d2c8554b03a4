"""Parts that installed packages bring, by the names of their entry points."""

from functools import cache
from typing import Final

#: Groups of entry points, such as ``hbpr.losses`` in a package's ``[project.entry-points]``.
PREFIX: Final = "hbpr."


def brought(group: str) -> dict[str, str]:
    """Return the parts of a group by name, each as ``module:name``; nothing is imported.

    Args:
        group: Such as ``losses``.
    """
    return _all().get(group, {})


@cache
def _all() -> dict[str, dict[str, str]]:
    from importlib.metadata import entry_points

    found: dict[str, dict[str, str]] = {}
    points = entry_points()
    for group in points.groups:
        if group.startswith(PREFIX):
            of_group = found.setdefault(group.removeprefix(PREFIX), {})
            for point in points.select(group=group):
                of_group.setdefault(point.name, point.value)
    return found
