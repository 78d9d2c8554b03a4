"""The kinds of pictures: a table, a function from records to a picture for each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from hbpr.tables import load

if TYPE_CHECKING:
    from dashboards.picture import Picture


class Kind(NamedTuple):
    """A kind of picture.

    Attributes:
        function: Where its function is: from `dashboards.records.Records` and names of settings
            to a picture.
        help: What it shows, for the command's help.
        curves: Whether it takes all values of each run; else the best and the last are enough.
        answer: Whether it shows what a study found, and not trials alone.
    """

    function: str
    help: str
    curves: bool = False
    answer: bool = False

    def __call__(self, *arguments: object) -> "Picture":
        """Make the picture."""
        function: Callable[..., Picture] = load(self.function)
        return function(*arguments)


_HERE: Final = "dashboards.kinds"
KINDS: Final = {
    "curves": Kind(
        f"{_HERE}.curves:curves", "learning curves of all trials, stopped ones faded", True
    ),
    "progress": Kind(f"{_HERE}.curves:progress", "each trial's value, and the best so far"),
    "slices": Kind(f"{_HERE}.settings:slices", "values against each setting"),
    "parallel": Kind(f"{_HERE}.settings:parallel", "parallel coordinates of the settings"),
    "contour": Kind(f"{_HERE}.contour:contour", "values over two settings", answer=True),
    "importance": Kind(
        f"{_HERE}.findings:importance", "what changing a setting costs, with intervals", answer=True
    ),
    "front": Kind(f"{_HERE}.findings:front", "Pareto front of two objectives", True, answer=True),
    "seeds": Kind(
        f"{_HERE}.findings:seeds", "finalists with other seeds, mean with interval", answer=True
    ),
    "timeline": Kind(f"{_HERE}.cost:timeline", "trials over time on their nodes"),
    "cost": Kind(f"{_HERE}.cost:cost", "best value against training seconds"),
    "panel": Kind(f"{_HERE}.panel:panel", "warm or cold by features by negatives"),
}
