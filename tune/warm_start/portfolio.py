"""A portfolio: points that were found on other data, for a search that knows nothing yet.

The idea is that of Feurer, Eggensperger, Falkner, Lindauer and Hutter, "Auto-Sklearn 2.0:
Hands-free AutoML via Meta-Learning" (JMLR 23, 2022).
"""

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from tune.space import Space
from tune.space.dimensions import setting_of
from tune.space.domains import Choice, Domain, is_number
from tune.space.points import value_in

logger = logging.getLogger(__name__)

#: Where a study cannot have a point's value of these, the point's other values mean nothing.
_STRUCTURE: Final = (
    "model.kind",
    "model.similarity",
    "optimizer.name",
    "training.loss_function",
)


@dataclass(frozen=True)
class Found:
    """A point that a search found.

    Attributes:
        data: Name of the data set.
        values: Dotted setting -> value, two digits each; none of ``data``, which others have
            otherwise.
    """

    data: str
    values: Mapping[str, Any]


#: What all points have in common; it was searched too.
_SOFTMAX: Final = {
    "model.kind": "mf",
    "model.similarity": "dot",
    "optimizer.name": "adagrad",
    "training.loss_function": "softmax_loss",
    "training.negatives.kind": "uniform",
}
#: Winners of searches by ``tests/benchmarks/find_portfolio.py``: of 400 trials on ml-100k, of about
#: 64 on ml-1m.
POINTS: Final = (
    Found(
        "ml-1m",
        _SOFTMAX
        | {
            "model.n_latent": 64,
            "optimizer.lr": 0.23,
            "optimizer.reg_user": 0.035,
            "optimizer.reg_positive": 0.016,
            "optimizer.reg_negative": 0.028,
            "training.negatives.per_positive": 16,
        },
    ),
    Found(
        "ml-1m",
        _SOFTMAX
        | {
            "model.n_latent": 128,
            "optimizer.lr": 0.091,
            "optimizer.reg_user": 0.047,
            "optimizer.reg_positive": 0.0069,
            "optimizer.reg_negative": 0.019,
            "training.negatives.per_positive": 8,
        },
    ),
    Found(
        "ml-100k",
        _SOFTMAX
        | {
            "model.n_latent": 128,
            "optimizer.lr": 0.046,
            "optimizer.reg_user": 0.099,
            "optimizer.reg_positive": 0.00065,
            "optimizer.reg_negative": 0.039,
            "training.negatives.per_positive": 16,
        },
    ),
    Found(
        "ml-100k",
        _SOFTMAX
        | {
            "model.n_latent": 64,
            "optimizer.lr": 0.21,
            "optimizer.reg_user": 0.033,
            "optimizer.reg_positive": 0.088,
            "optimizer.reg_negative": 0.05,
            "training.negatives.per_positive": 16,
        },
    ),
)


def portfolio_points(space: Space, base: TrialSettings, place: str) -> list[dict[str, Any]]:
    """Return the portfolio's points for a study.

    A number outside of a range becomes the nearest inside; a choice that the space does not have is
    left to be drawn. What a point does not name, such as all of ``data``, is as in the study's own
    settings, if the space has that.

    A point that was found on the study's own data is left out, since it would be the answer and not
    a hint: what a search on these data is worth shows without it. So is one whose kind of model,
    similarity, optimizer or loss function the study cannot have, and one that the constraints rule
    out.

    Args:
        space: What `tune.space.check.check_space` returned.
        base: The settings that are not searched.
        place: Where the portfolio was asked for, for messages.

    Returns:
        Dotted setting -> value, in order; none, with a warning, where none fits.
    """
    own = _known_as(base.data.name)
    points = [
        space.active(_inside(space, base, found.values))
        for found in POINTS
        if _known_as(found.data) != own and _can_have(space, base, found.values)
    ]
    fitting = [point for point in points if point and _is_allowed(space, point)]
    if not fitting:
        logger.warning("%s: no point of the portfolio fits; the search begins without", place)
    return fitting


def _known_as(name: str) -> str:
    """Return a data set's name in the form in which names are compared."""
    return name.lower().removeprefix("ml-")


def _can_have(space: Space, base: TrialSettings, values: Mapping[str, Any]) -> bool:
    domains = {dimension.key: dimension.domain for dimension in space.dimensions}
    return all(
        domains[key].contains(values[key])
        if key in domains
        else setting_of(base, key) == values[key]
        for key in _STRUCTURE
    )


def _inside(space: Space, base: TrialSettings, values: Mapping[str, Any]) -> dict[str, Any]:
    whole = with_values(base, values)
    return space.inside(
        {each.key: _nearest(each.domain, value_in(whole, each)) for each in space.dimensions}
    )


def _nearest(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Choice) or not is_number(value):
        return value
    return domain.decode(min(max(value, domain.low), domain.high))


def _is_allowed(space: Space, point: Mapping[str, Any]) -> bool:
    return bool(space.allowed_points(random.Random(0), 1, fixed=point))
