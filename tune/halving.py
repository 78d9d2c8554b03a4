"""Successive halving that holds trials and lets the best go on: the rule alone, without Ray.

A trial that comes to a rung goes on if it is among the best ``1 / factor`` of all that came there.
If it is not, it may be later, when more have come: then it is held, and goes on from there. Rules
that decide once must let early trials pass for want of rivals, and so spend most of a study on
trials that later ones would have beaten.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Verdict = Literal["on", "hold", "stop"]

#: A trial is held as long as its rank is at most so many times the number that may go on.
_HELD_SHARE: Final = 1.5
#: Trials that are held at a rung in any case; the best of the first few must not be lost.
_HELD_ALWAYS: Final = 2


@dataclass
class _Rung:
    epoch: int
    values: dict[int, float] = field(default_factory=dict)
    promoted: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)

    def order(self) -> list[int]:
        """Return the trials that came here, best first; of equal ones the earlier number first."""
        return sorted(self.values, key=lambda number: (-self.values[number], number))


class Halving:
    """Rungs of one study, or of one bracket of it. Higher values are better.

    Args:
        epochs: Epochs of the rungs, ascending.
        factor: Of so many trials at a rung, one goes on.

    Source:
        Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020,
        arXiv:1810.05934, algorithm 2. There every trial is held until it is promoted; here one
        that has fallen far behind is stopped at once, which costs nothing in the replays of
        ``docs/decisions/0022-held-trials.md`` and leaves few checkpoints.
    """

    def __init__(self, epochs: Sequence[int], factor: float) -> None:
        self._rungs = [_Rung(epoch) for epoch in epochs]
        self._factor = factor

    def remember(self, number: int, reports: Iterable[tuple[int, float]]) -> None:
        """Enter what a trial of an earlier sitting reported, in order.

        A trial that has reported beyond a rung had been let through.
        """
        for epoch, value in reports:
            rung = self._rung_at(epoch)
            for passed in self._rungs:
                if epoch > passed.epoch and number in passed.values:
                    passed.promoted.add(number)
            if rung is not None and number not in rung.values:
                rung.values[number] = _comparable(value)

    def report(self, number: int, epoch: int, value: float) -> Verdict:
        """Enter a report; return whether its trial goes on, is held, or is stopped.

        The report that brought a trial to a rung may come again, from a trial that was held there
        or started again: it counts once, and what is decided then holds for now.
        """
        rung = self._rung_at(epoch)
        if rung is None or number in rung.promoted:
            return "on"
        rung.values.setdefault(number, _comparable(value))
        rank = rung.order().index(number) + 1
        if rank <= self._places(rung):
            rung.promoted.add(number)
            return "on"
        if rank > self._held_places(rung):
            return "stop"
        rung.held.add(number)
        return "hold"

    def settle(self, *, last: bool = False) -> tuple[list[int], list[int]]:
        """Decide about the trials that are held.

        Args:
            last: No new trial will come, so that a share of a trial counts as a whole one: the best
                one of a rung goes on even if too few have come for that. Lower rungs come first,
                since one that goes on from there may be a rival above; and so what is decided does
                not depend on when a study was interrupted.

        Returns:
            Those that go on now, the ones that are furthest first, and those that are to stop.
        """
        on: list[int] = []
        out: list[int] = []
        for rung in reversed(self._rungs):
            self._part(rung, self._places(rung), on, out)
        for rung in self._rungs if last else ():
            if on:
                break
            self._part(rung, self._places(rung, last=True), on, out)
        return on, out

    def _part(self, rung: _Rung, places: int, on: list[int], out: list[int]) -> None:
        if not rung.held:
            return
        held_places = self._held_places(rung)
        for rank, number in enumerate(rung.order(), start=1):
            if number not in rung.held:
                continue
            if rank <= places:
                rung.promoted.add(number)
                on.append(number)
            elif rank > held_places:
                out.append(number)
        rung.held.difference_update(on, out)

    def forget(self, number: int) -> None:
        """Take a trial that has ended off those that are held; its values stay in the rungs."""
        for rung in self._rungs:
            rung.held.discard(number)

    @property
    def held(self) -> set[int]:
        """Numbers of the trials that are held."""
        return {number for rung in self._rungs for number in rung.held}

    def _places(self, rung: _Rung, *, last: bool = False) -> int:
        whole = len(rung.values) / self._factor
        return math.ceil(whole - 1e-9) if last else math.floor(whole + 1e-9)

    def _held_places(self, rung: _Rung) -> int:
        return max(math.floor(_HELD_SHARE * len(rung.values) / self._factor), _HELD_ALWAYS)

    def _rung_at(self, epoch: int) -> _Rung | None:
        """Return the rung that a report belongs to: the highest one that is reached by then."""
        reached = [rung for rung in self._rungs if rung.epoch <= epoch]
        return reached[-1] if reached else None


def _comparable(value: float) -> float:
    return -math.inf if math.isnan(value) else value
