"""What a study found as texts of tags, and back: a page drawn from MLflow alone says it, too."""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from hbpr.tracking.findings import BaselineRecord, Comparison, Effect, Importance, Winner


@dataclass(frozen=True)
class Validation:
    """Validation metrics of a winner and of the baselines beside it.

    Attributes:
        n_users: Users that they are means over; None where that is not known.
        winner: By name.
        baselines: By the baseline's name, then by that of the metric.
        labels: The baselines' names for people, by name.
    """

    n_users: int | None = None
    winner: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def importance_text(found: Sequence[Importance]) -> str:
    """Return what mattered as the text of a tag; see `importance_of`."""
    return json.dumps(
        [
            [
                each.metric,
                each.n_trials,
                each.n_stopped,
                [[e.setting, *map(_short, (e.cost, e.low, e.high))] for e in each.effects],
            ]
            for each in found
        ]
    )


def importance_of(text: str) -> tuple[Importance, ...]:
    """Return what `importance_text` was given; empty for another text.

    Example:
        >>> found = Importance("val/auc", 30, 4, (Effect("optimizer.lr", 0.02, 0.01, 0.03),))
        >>> importance_of(importance_text([found])) == (found,)
        True
    """
    try:
        return tuple(
            Importance(metric, n, stopped, tuple(Effect(*effect) for effect in effects))
            for metric, n, stopped, effects in json.loads(text)
        )
    except (ValueError, TypeError):
        return ()


def compared_text(found: Sequence[Comparison]) -> str:
    """Return comparisons as the text of a tag; see `compared_of`."""
    return json.dumps([[_short(value) for value in astuple(each)] for each in found])


def compared_of(text: str) -> tuple[Comparison, ...]:
    """Return what `compared_text` was given; empty for another text.

    Example:
        >>> found = Comparison("EASE", -0.02, -0.03, -0.01, 0.001, 943)
        >>> compared_of(compared_text([found])) == (found,), compared_of("EASE")
        (True, ())
    """
    try:
        return tuple(Comparison(*each) for each in json.loads(text))
    except (ValueError, TypeError):
        return ()


def validation_text(winner: Winner, baselines: Sequence[BaselineRecord]) -> str:
    """Return validation metrics as the text of a tag; see `validation_of`."""

    def shortened(metrics: dict[str, float]) -> dict[str, float]:
        return {name: _short(value) for name, value in metrics.items()}

    return json.dumps(
        {
            "n_users": winner.n_users,
            "winner": shortened(winner.validation),
            "baselines": {each.name: shortened(each.validation) for each in baselines},
            "labels": {each.name: each.label for each in baselines},
        }
    )


def validation_of(text: str) -> Validation:
    """Return what `validation_text` was given; nothing for another text.

    Example:
        >>> winner = Winner(3, {}, 0.4, 10, {"val/auc": 0.9}, n_users=943)
        >>> found = validation_of(validation_text(winner, [BaselineRecord("ease", "EASE")]))
        >>> found.n_users, found.winner, found.baselines, found.labels
        (943, {'val/auc': 0.9}, {'ease': {}}, {'ease': 'EASE'})
    """
    try:
        return Validation(**json.loads(text))
    except (ValueError, TypeError):
        return Validation()


def _short(value: Any) -> Any:
    """Return a number with six digits, which keeps a tag below its limit."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
