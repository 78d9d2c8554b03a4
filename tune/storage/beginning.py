"""What a study starts from: points to run first, and trials of earlier studies to learn from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class EarlierTrial:
    """A trial that an earlier study ran to its end.

    Attributes:
        study: Folder of that study, or its reference in MLflow.
        values: Dotted setting -> value, of the dimensions that are active in it.
        value: Its best value.
    """

    study: str
    values: dict[str, Any]
    value: float


@dataclass(frozen=True)
class Beginning:
    """Points and earlier trials; plain values, kept in the study's journal.

    Attributes:
        points: Values of the first trials, in order; what a point leaves out is drawn.
        earlier: What the sampler knows from the start; these trials do not count, cannot win and
            are not compared with by schedulers.
    """

    points: tuple[dict[str, Any], ...] = ()
    earlier: tuple[EarlierTrial, ...] = ()

    def point(self, number: int) -> dict[str, Any]:
        """Return the values that are given for a trial; empty where all are drawn."""
        return self.points[number] if number < len(self.points) else {}

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"points": list(self.points), "earlier": [asdict(trial) for trial in self.earlier]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read what `as_json` returned."""
        earlier = tuple(EarlierTrial(**trial) for trial in raw["earlier"])
        return cls(tuple(raw["points"]), earlier)
