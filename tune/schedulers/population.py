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

from hbpr.errors import SpaceError
from tune.space.check import largest
from tune.space.dimensions import Choice, IntRange, same

if TYPE_CHECKING:
    from hbpr.tracking.records import TrialRecord
    from tune.settings import StudySettings
    from tune.space import Space
    from tune.space.dimensions import Domain

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
        trials: All of the study, as its journal tells them, before or after the decision.
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
    told = [trial for trial in trials if epoch in trial.reports]
    members = [t for t in told if not (t.state == "COMPLETE" and max(t.reports) == epoch)]
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


def most_copies(settings: "StudySettings") -> int:
    """Return how many copies a study makes if no trial ends before its last epoch."""
    scheduler, size = settings.sweep.scheduler, settings.n_trials()
    times = (settings.max_epochs() - 1) // scheduler.interval
    return times * min(math.ceil(size * scheduler.quantile), size // 2)


def check_population(settings: "StudySettings", space: "Space") -> None:
    """Refuse settings with which a population cannot be trained.

    Raises:
        SpaceError: The message starts with the setting that is to be changed.
    """
    sweep, training = settings.sweep, settings.training
    interval = sweep.scheduler.interval
    epochs = int(largest(space, "training.n_iter", settings.base_trial()))
    changeable = ", ".join(CHANGEABLE)
    if sweep.search.algorithm == "grid":
        raise SpaceError(
            "scheduler.kind: pbt ends trials and goes on with copies that have other settings, and "
            "a grid compares its own points. Search with random, qmc or tpe, or take another "
            "scheduler."
        )
    if space.keys.isdisjoint(CHANGEABLE):
        raise SpaceError(
            f"scheduler.kind: pbt changes {changeable} while trials train, and none of them is "
            f"searched, got {', '.join(sorted(space.keys))}. Search one, or take another scheduler."
        )
    for dimension in space.dimensions:
        domain = dimension.domain
        if dimension.key in CHANGEABLE and isinstance(domain, Choice) and domain.structured:
            raise SpaceError(f"{dimension.key}: pbt needs numbers, got {list(domain.values)}.")
        for key, _ in dimension.when:
            if key in CHANGEABLE:
                raise SpaceError(
                    f"{dimension.key}: pbt changes {key} while a trial trains, so no `when` can "
                    "look at it. Leave the condition out, or take another scheduler."
                )
    if "training.eval_every" in space.settings:
        raise SpaceError(
            "training.eval_every: pbt compares all trials at the same epochs, so it cannot be "
            "searched. Set it in training."
        )
    if interval % training.eval_every:
        raise SpaceError(
            "scheduler.interval: pbt compares trials at evaluations, so it must be a multiple of "
            f"training.eval_every, got {interval} and {training.eval_every}."
        )
    if interval >= epochs:
        raise SpaceError(
            "scheduler.interval: it must be below the epochs of the longest trial, or nothing is "
            f"ever compared, got {interval} and {epochs}. Lower it, or raise training.n_iter."
        )
    if settings.n_trials() < 2:
        raise SpaceError(
            f"num_trials: pbt needs a population of 2 or more, got {settings.n_trials()}."
        )
