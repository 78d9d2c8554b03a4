"""A loss from outside: a `LossKind`, or the torch function alone."""

import inspect
from typing import Any

import torch
from torch import Tensor

from hbpr.errors import ConfigError
from hbpr.training.losses.kind import LossKind

_FORM = (
    "a loss is a torch function from (B,) scores of positives and (B, N) scores of their negatives "
    "to (B,) losses, or a hbpr.training.losses.kind.LossKind"
)


def as_loss(name: str, part: Any) -> LossKind:
    """Return a loss as the engines take it.

    Args:
        name: What settings call it, for messages.
        part: What was found under that name.

    Raises:
        ConfigError: It is no loss.
    """
    kind = part if isinstance(part, LossKind) else LossKind(part)
    if inspect.isclass(part) or not callable(kind.function):
        raise ConfigError(f"{name}: {_FORM}, got {type(part).__name__} {part!r:.60}")
    if not kind.rank_weighted:
        _try(name, kind)
    return kind


def _try(name: str, kind: LossKind) -> None:
    """Compute the losses of three positives with two negatives each, and their gradient."""
    positive = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
    negative = torch.tensor([[0.1, -0.3], [0.4, 1.2], [-2.0, 0.0]], requires_grad=True)
    try:
        losses: Any = kind.function(positive, negative)
    except Exception as error:  # the function is somebody else's
        raise ConfigError(
            f"{name}: {_FORM}; called with 3 positives and 2 negatives each got "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(losses, Tensor) or losses.shape != (3,):
        got = f"a tensor {tuple(losses.shape)}" if isinstance(losses, Tensor) else repr(losses)[:60]
        raise ConfigError(
            f"{name}: {_FORM}; called with 3 positives and 2 negatives each got {got}"
        )
    if not losses.requires_grad:
        raise ConfigError(
            f"{name}: {_FORM}; what it returned has no gradient: compute it with torch alone"
        )
