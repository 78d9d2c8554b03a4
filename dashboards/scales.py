"""How a setting is drawn: its scale, ends and numbers, from the search space that was recorded.

Where no space says it, as in runs that another tool recorded, numbers are drawn as they are and
never by their logarithms: a scale that values decide would change with the next run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from hbpr.settings.load import dotted
from hbpr.tracking.records import StudyRecord

#: What stands for a setting that a trial did not have.
ABSENT: Final = "not set"
#: More different numbers than this are a range.
_MOST_LEVELS: Final = 12


@dataclass(frozen=True)
class Scale:
    """How one setting is drawn.

    Attributes:
        name: Dotted setting.
        kind: ``linear`` and ``log`` for ranges, ``choice`` for levels side by side.
        low: Lower end of a range.
        high: Upper end.
        levels: Texts of the levels of a choice, in the order of the space.
        whole: Whether the values are whole numbers.
        recorded: Whether a search space said so.
    """

    name: str
    kind: Literal["linear", "log", "choice"]
    low: float = 0.0
    high: float = 1.0
    levels: tuple[str, ...] = ()
    whole: bool = False
    recorded: bool = False

    def place(self, value: Any) -> float:
        """Return where a value lies: its number on a range, its level's on a choice; NaN if none.

        Example:
            >>> Scale("a", "choice", levels=("8", "none")).place(None)
            1.0
        """
        if self.kind == "choice":
            text = level_text(value)
            return float(self.levels.index(text)) if text in self.levels else math.nan
        return float(value) if _is_number(value) else math.nan

    def share(self, value: Any) -> float:
        """Return where a value lies between the ends, 0 to 1; NaN for none."""
        place = self.place(value)
        if self.kind == "choice":
            return (place + 0.5) / max(len(self.levels), 1)
        low, high = self.low, self.high
        if self.kind == "log":
            place, low, high = math.log(place), math.log(low), math.log(high)
        return 0.5 if high == low else (place - low) / (high - low)

    def text(self, value: float) -> str:
        """Return a number of the range as people read it.

        Example:
            >>> Scale("a", "linear", whole=True).text(8.0), Scale("a", "log").text(0.01)
            ('8', '0.01')
        """
        return f"{value:,.0f}" if self.whole else f"{value:.4g}"


def level_text(value: Any) -> str:
    """Return a value as the text of its level; a recorded null is ``none``.

    Example:
        >>> level_text(8.0), level_text(None), level_text([64, 32]), level_text(True)
        ('8', 'none', '[64, 32]', 'true')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def scale_of(name: str, studies: Sequence[StudyRecord], values: Sequence[Any]) -> Scale:
    """Return how to draw a setting.

    Args:
        name: Dotted setting.
        studies: Their spaces decide.
        values: All values that were taken, null as None.
    """
    dimensions = [
        found for study in studies if (found := _dimension(name, study.space)) is not None
    ]
    numbers = [float(value) for value in values if _is_number(value)]
    whole = bool(numbers) and all(isinstance(value, int) for value in values if _is_number(value))
    ranges = [each for each in dimensions if isinstance(each, Mapping)]
    if ranges and numbers:
        low = min([float(each["low"]) for each in ranges] + numbers)
        high = max([float(each["high"]) for each in ranges] + numbers)
        log = any(each.get("log") for each in ranges) and low > 0.0
        return Scale(name, "log" if log else "linear", low, high, (), whole, True)
    listed = [choice for each in dimensions if not isinstance(each, Mapping) for choice in each]
    if not listed and len(numbers) == len(values) and len(set(numbers)) > _MOST_LEVELS:
        return Scale(name, "linear", min(numbers), max(numbers), (), whole)
    known = dict.fromkeys(level_text(choice) for choice in listed)
    taken = {level_text(value) for value in values}
    if not known:
        return Scale(name, "choice", levels=tuple(sorted(taken, key=_in_order)))
    if len({str(each) for each in dimensions}) > 1:  # spaces of several studies: no order of theirs
        known = dict.fromkeys(sorted(known, key=_in_order))
    rest = sorted(taken - known.keys(), key=_in_order)
    return Scale(name, "choice", levels=(*known, *rest), whole=whole, recorded=True)


def _dimension(name: str, space: Mapping[str, Any]) -> Mapping[str, Any] | list[Any] | None:
    """Return the range, or the choices, that a space as it was written has for a setting."""
    for key, written in space.items():
        is_range = isinstance(written, Mapping) and "low" in written and "high" in written
        if is_range:
            if key == name:
                return dict(written)
            continue
        choices = written.get("choices") if isinstance(written, Mapping) else written
        if not isinstance(choices, list | tuple):
            continue
        found = [named[name] for each in choices if name in (named := dotted({key: each}))]
        if found:
            return found
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _in_order(text: str) -> tuple[bool, float, str]:
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
