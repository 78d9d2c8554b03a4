"""Population-based training: who is replaced by whose copy, and with which settings.

Nothing here knows of Ray or of files. A decision follows from the trials' reports and the seed
alone, so that a resumed study takes the same one again.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tune.space.domains import Choice, IntRange, same

if TYPE_CHECKING:
    from hbpr.tracking.records import TrialRecord
    from tune.space import Space
    from tune.space.domains import Domain

#: Settings that a copy may change. All others are part of what was copied: shapes of weights, the
#: optimizer's own state, the data, the clock.
CHANGEABLE: Final = (
    "optimizer.lr",
    "optimizer.reg_user",
    "optimizer.reg_positive",
    "optimizer.reg_negative",
    "optimizer.reg_bias",
)
_FACTORS: Final = (0.8, 1.2)
_RESAMPLED: Final = 0.25
_DRAWS: Final = 32


@dataclass(frozen=True)
class Copy:
    """A trial that goes on from another's weights.

    Attributes:
        parent: Number of the trial that is copied.
        epoch: Epoch after which it is.
        replaces: Number of the trial that ends for it.
        values: The copy's values, those of the parent but for some of `CHANGEABLE`.
    """

    parent: int
    epoch: int
    replaces: int
    values: dict[str, Any]


def decide(
    trials: "Sequence[TrialRecord]", epoch: int, *, space: "Space", quantile: float, seed: int
) -> list[Copy]:
    """Compare all trials that reached an epoch; the worst are replaced by copies of the best.

    A trial that came to its own end at that epoch takes no part. Equal values are in the order of
    the numbers, and nothing is replaced by its equal.

    Args:
        trials: All of the study, as its journal has them, before or after the decision.
        epoch: Where they are compared.
        space: The study's.
        quantile: Share that is replaced, and share that is copied.
        seed: Seed of the study.

    Returns:
        The copies, in the order of the trials that they replace.

    Source:
        Jaderberg et al., Population Based Training of Neural Networks, 2017, arXiv:1711.09846:
        truncation selection, and perturbation by 0.8 or 1.2.
    """
    compared = [trial for trial in trials if epoch in trial.reports]
    members = [t for t in compared if not (t.state == "COMPLETE" and max(t.reports) == epoch)]
    ranked = sorted(members, key=lambda trial: (-trial.reports[epoch], trial.number))
    n = min(math.ceil(len(ranked) * quantile), len(ranked) // 2)
    copies = []
    for loser in sorted(ranked[len(ranked) - n :], key=lambda trial: trial.number):
        generator = random.Random(
            int(np.random.SeedSequence([seed, epoch, loser.number]).generate_state(1)[0])
        )
        parent = generator.choice(ranked[:n])
        if parent.reports[epoch] > loser.reports[epoch]:
            values = explore(space, parent.values, generator)
            copies.append(Copy(parent.number, epoch, loser.number, values))
    return copies


def explore(space: "Space", values: Mapping[str, Any], generator: random.Random) -> dict[str, Any]:
    """Return the values with those of `CHANGEABLE` moved, where the constraints allow it.

    Each is multiplied by 0.8 or 1.2, or goes to a neighbour in a list or among steps; one in four
    is drawn anew from its whole dimension.
    """
    for _ in range(_DRAWS):
        moved = dict(values)
        for dimension in space.dimensions:
            if dimension.key in CHANGEABLE and dimension.key in values:
                moved[dimension.key] = _moved(dimension.domain, values[dimension.key], generator)
        if moved != values and space.allows(moved):
            return moved
    return dict(values)


def _moved(domain: "Domain", value: Any, generator: random.Random) -> Any:
    if generator.random() < _RESAMPLED:
        return domain.at(generator.random())
    points = domain.points()
    if points is not None:
        ordered = sorted(points)
        (index,) = (i for i, point in enumerate(ordered) if same(point, value))
        return ordered[min(max(index + generator.choice((-1, 1)), 0), len(ordered) - 1)]
    assert not isinstance(domain, Choice)
    moved = min(max(value * generator.choice(_FACTORS), domain.low), domain.high)
    return round(moved) if isinstance(domain, IntRange) else moved
