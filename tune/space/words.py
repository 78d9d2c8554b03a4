"""Messages about a search space."""

from collections.abc import Iterable

from hbpr.errors import SpaceError
from hbpr.words import did_you_mean


def refuse(key: str, text: str) -> SpaceError:
    """Return the error of a dimension; its message starts with the dimension's key."""
    return SpaceError(f"{key}: {text}")


def nearest(word: object, known: Iterable[str]) -> str:
    """Return ``. Did you mean X?``, or a full stop where nothing is near."""
    return f".{did_you_mean(word, known)}"
