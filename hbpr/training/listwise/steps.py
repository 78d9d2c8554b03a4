"""Steps of an optimizer on some rows of a table; each row keeps its own time.

A row moves only when a block meets it, and Adam's corrections count the row's own steps: what a
user's vector does must not depend on how many blocks of other users lie between.

Shapes: R rows of the table, n rows met, d columns.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hbpr.training.engine import State

#: Rules that `RowSteps` knows.
RULES: Final = ("sgd", "adagrad", "adam")

_BETA_1: Final = 0.9
_BETA_2: Final = 0.999
_ADAM_EPS: Final = 1e-8
_ADAGRAD_EPS: Final = 1e-10


class RowSteps:
    """Adam, Adagrad or SGD for a table of vectors.

    Args:
        table: (R, d), changed in place.
        rule: One of `RULES`.

    Source:
        Kingma & Ba, ICLR 2015; Duchi, Hazan & Singer, JMLR 2011; with torch's defaults.
    """

    def __init__(self, table: Tensor, rule: str) -> None:
        self._table = table
        self._rule = rule
        shapes: dict[str, tuple[int, ...]] = {}
        if rule == "adam":
            shapes = {"mean": (*table.shape,), "square": (*table.shape,), "steps": (len(table), 1)}
        elif rule == "adagrad":
            shapes = {"square": (*table.shape,)}
        self._kept = {name: table.new_zeros(shape) for name, shape in shapes.items()}

    def step(self, rows: Tensor | None, gradient: Tensor, lr: float) -> None:
        """Move rows against their gradient, which is overwritten.

        Args:
            rows: (n,) distinct rows; None: all.
            gradient: (n, d).
            lr: Learning rate.
        """
        kept = {
            name: whole if rows is None else whole.index_select(0, rows)
            for name, whole in self._kept.items()
        }
        move = {"adam": _adam, "adagrad": _adagrad, "sgd": _sgd}[self._rule](kept, gradient, lr)
        if rows is None:
            self._table.sub_(move)
            return
        for name, values in kept.items():
            self._kept[name].index_copy_(0, rows, values)
        self._table.index_add_(0, rows, move, alpha=-1.0)

    def state(self) -> State:
        """What the rule keeps of each row, as arrays."""
        return {name: kept.cpu().numpy().copy() for name, kept in self._kept.items()}

    def load_state(self, state: State) -> None:
        """Put back what `state` returned."""
        for name, kept in self._kept.items():
            kept.copy_(torch.from_numpy(np.asarray(state[name])))


def _adam(kept: dict[str, Tensor], gradient: Tensor, lr: float) -> Tensor:
    mean, square, steps = kept["mean"], kept["square"], kept["steps"]
    steps += 1.0
    mean.lerp_(gradient, 1.0 - _BETA_1)
    square.mul_(_BETA_2).addcmul_(gradient, gradient, value=1.0 - _BETA_2)
    root = (1.0 - _BETA_2**steps).sqrt_()
    rate = lr * root / (1.0 - _BETA_1**steps)
    torch.sqrt(square, out=gradient).add_(_ADAM_EPS * root)
    return torch.div(mean, gradient, out=gradient).mul_(rate)


def _adagrad(kept: dict[str, Tensor], gradient: Tensor, lr: float) -> Tensor:
    square = kept["square"]
    square.addcmul_(gradient, gradient)
    return gradient.mul_(lr).div_(square.sqrt().add_(_ADAGRAD_EPS))


def _sgd(kept: dict[str, Tensor], gradient: Tensor, lr: float) -> Tensor:
    return gradient.mul_(lr)
