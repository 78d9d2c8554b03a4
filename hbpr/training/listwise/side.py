"""The vectors of users or of items in a block: from the tables to what scores, and back.

Shapes: n rows of a block, P features of the side, d latent size.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hbpr.data.interactions import Features
from hbpr.training.engine import State
from hbpr.training.listwise.steps import RowSteps


class Vectors(NamedTuple):
    """Vectors of a block's rows.

    Attributes:
        rows: (n,) users or items; None: all, in their order.
        sums: (n, d) sums of feature vectors.
        lengths: (n, 1) lengths of the sums, 1 for a zero one; None: the inner product.
        final: (n, d) what scores.
    """

    rows: Tensor | None
    sums: Tensor
    lengths: Tensor | None
    final: Tensor


class Side:
    """One side's table of feature vectors with its optimizer.

    Args:
        table: (P, d) parameter, changed in place.
        features: (rows, P) features of the side.
        cosine: Divide sums by their lengths.
        scale: Factor of final vectors.
        rule: Update rule.
    """

    def __init__(
        self, table: Tensor, features: Features, *, cosine: bool, scale: float, rule: str
    ) -> None:
        self._table = table.detach()
        self._cosine = cosine
        self._scale = scale
        self._steps = RowSteps(self._table, rule)
        self._own = features.is_identity
        device = table.device
        self._indptr = torch.from_numpy(features.indptr.copy()).to(device)
        self._indices = torch.from_numpy(features.indices.astype(np.int64)).to(device)
        self._values = torch.from_numpy(features.values.copy()).to(device).unsqueeze(1)

    def vectors(self, rows: Tensor | None) -> Vectors:
        """Compute the final vectors of rows."""
        if self._own:
            sums = self._table if rows is None else self._table.index_select(0, rows)
        else:
            of, entries = expand(self._indptr, rows)
            n = len(self._indptr) - 1 if rows is None else len(rows)
            sums = self._table.new_zeros(n, self._table.shape[1])
            met = self._table.index_select(0, self._indices[entries])
            sums.index_add_(0, of, met.mul_(self._values[entries]))
        if not self._cosine:
            return Vectors(rows, sums, None, sums if self._scale == 1.0 else sums * self._scale)
        lengths = torch.linalg.vector_norm(sums, dim=1, keepdim=True)
        lengths = torch.where(lengths > 0, lengths, 1.0)
        return Vectors(rows, sums, lengths, sums * (self._scale / lengths))

    def step(self, vectors: Vectors, gradient: Tensor, l2: Tensor | None, lr: float) -> None:
        """Move the table against the gradient of final vectors, which is overwritten.

        Args:
            vectors: What `vectors` returned; the table must not have moved since.
            gradient: (n, d) of the loss by final vectors.
            l2: (n, 1) weights of the sums' L2; None: none.
            lr: Learning rate.
        """
        if vectors.lengths is not None:
            # along the vector there is no slope: g - u (u · g), with the unit vector u
            along = (vectors.final * gradient).sum(1, keepdim=True).div_(self._scale**2)
            gradient.addcmul_(vectors.final, along, value=-1.0).mul_(self._scale / vectors.lengths)
        elif self._scale != 1.0:
            gradient.mul_(self._scale)
        if l2 is not None:
            gradient.addcmul_(vectors.sums, l2)
        rows = vectors.rows
        if not self._own:
            of, entries = expand(self._indptr, rows)
            rows, places = torch.unique(self._indices[entries], return_inverse=True)
            shares = gradient.index_select(0, of).mul_(self._values[entries])
            gradient = gradient.new_zeros(len(rows), gradient.shape[1])
            gradient.index_add_(0, places, shares)
        self._steps.step(rows, gradient, lr)

    def state(self) -> State:
        """The optimizer's state."""
        return self._steps.state()

    def load_state(self, state: State) -> None:
        """Put back what `state` returned."""
        self._steps.load_state(state)


def expand(indptr: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    """Unfold rows of a CSR matrix: (m,) place of each entry's row, and (m,) entries."""
    if rows is None:
        counts = indptr.diff()
        of = torch.arange(len(counts), device=indptr.device).repeat_interleave(counts)
        return of, torch.arange(len(of), device=indptr.device)
    starts = indptr[rows]
    counts = indptr[rows + 1] - starts
    of = torch.arange(len(rows), device=indptr.device).repeat_interleave(counts)
    first = counts.cumsum(0) - counts
    entries = torch.arange(len(of), device=indptr.device) + (starts - first)[of]
    return of, entries
