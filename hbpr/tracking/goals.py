"""What the trials of a study are compared by: objectives, limits, and the Pareto front.

All values of a trial are those of one model: the one of the epoch that is best by the first
objective, which is the model that is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeVar

from hbpr.names import COSTS


class Comparable(Protocol):
    """What goals look at of a trial, see `hbpr.tracking.records.TrialRecord`."""

    @property
    def number(self) -> int:
        """From 0, in the order of the suggestions."""

    @property
    def state(self) -> str:
        """``COMPLETE``, ``PRUNED`` or another one, which is not compared."""

    @property
    def measured(self) -> Mapping[int, Mapping[str, float]]:
        """Epoch -> value of each metric; empty where none was measured."""

    @property
    def at_best(self) -> Mapping[str, float]:
        """`measured` at the best epoch; empty where there is none."""


TrialT = TypeVar("TrialT", bound=Comparable)


class Objective(NamedTuple):
    """A recorded metric, and whether more (``max``) or less (``min``) of it is better."""

    metric: str
    mode: Literal["max", "min"]


class Limit(NamedTuple):
    """The values of a recorded metric that are acceptable, both ends included."""

    metric: str
    least: float | None
    most: float | None

    def excess(self, value: float) -> float:
        """Return how far a value is outside, as a share of the bound; 0 or less where it is not.

        Example:
            >>> limit = Limit("item_vector_bytes", None, 2000.0)
            >>> limit.excess(3000.0), limit.excess(1000.0)
            (0.5, -0.5)
        """
        ends = []
        if self.least is not None:
            ends.append((self.least - value) / (abs(self.least) or 1.0))
        if self.most is not None:
            ends.append((value - self.most) / (abs(self.most) or 1.0))
        return max(ends)

    def __str__(self) -> str:
        """Say it as in the settings."""
        ends = [] if self.least is None else [f"min: {self.least:.10g}"]
        ends += [] if self.most is None else [f"max: {self.most:.10g}"]
        return f"{self.metric}: {{{', '.join(ends)}}}"


@dataclass(frozen=True)
class Goals:
    """What a study wants.

    Attributes:
        objectives: At least one. The first is a validation metric that is to be high: it picks each
            trial's best epoch, and the champion among the trials of the front.
        limits: A trial outside of one cannot win.
    """

    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.objectives) > 1

    @property
    def plain(self) -> bool:
        """Whether trials are compared by one metric and nothing else."""
        return not self.several and not self.limits

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that are looked at, objectives first."""
        names = [each.metric for each in self.objectives]
        return tuple(dict.fromkeys([*names, *(limit.metric for limit in self.limits)]))

    @property
    def costs(self) -> tuple[str, ...]:
        """Those that a trial has to measure beside its evaluations."""
        return tuple(name for name in self.metrics if name in COSTS)

    def excesses(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return `Limit.excess` of each limit; a trial is feasible if none is above 0."""
        return {limit.metric: limit.excess(values[limit.metric]) for limit in self.limits}

    def feasible(self, values: Mapping[str, float]) -> bool:
        """Whether values are known for all limits, and inside of them."""
        known = all(limit.metric in values for limit in self.limits)
        return known and all(excess <= 0.0 for excess in self.excesses(values).values())

    def losses(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Return the objectives' values in their order, signed so that less is better."""
        return tuple(
            -values[each.metric] if each.mode == "max" else values[each.metric]
            for each in self.objectives
        )

    def front(self, trials: Sequence[TrialT]) -> list[TrialT]:
        """Return the feasible trials that no other one beats.

        One beats another if it is nowhere worse and somewhere better. Trials with equal values
        stand beside each other.

        Returns:
            The trials that ran to their end, or if no feasible one did, those that were stopped;
            best by the first objective first, equal ones by the next, then by number.
        """
        for state in ("COMPLETE", "PRUNED"):
            able = [
                trial
                for trial in trials
                if trial.state == state and trial.measured and self.feasible(trial.at_best)
            ]
            if able:
                return self._unbeaten(able)
        return []

    def _unbeaten(self, trials: Sequence[TrialT]) -> list[TrialT]:
        ordered = sorted((self.losses(trial.at_best), trial.number, trial) for trial in trials)
        kept: list[tuple[tuple[float, ...], TrialT]] = []
        for losses, _, trial in ordered:
            if not any(_beats(other, losses) for other, _ in kept):
                kept.append((losses, trial))
        return [trial for _, trial in kept]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    nowhere_worse = all(a <= b for a, b in zip(one, other, strict=True))
    return nowhere_worse and any(a < b for a, b in zip(one, other, strict=True))
