"""Scores of drawn pairs straight from the tables of vectors, as one step of torch's autograd.

Gathering rows into tensors, multiplying and summing them, and adding gradients back to the tables
moves each vector through memory a dozen times. Two compiled loops do it in one pass each way.

Shapes: B users in a batch, M items each, U users, I items, d latent size.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: A table with this many times more rows than a batch meets gets a sparse gradient, if it may.
_SPARSE_FROM: Final = 8
#: See `hbpr.training.losses.compiled.FAST`: sums may use vector registers, NaN stays NaN.
_FAST: Final = frozenset({"reassoc", "contract", "nsz", "arcp"})


class L2(NamedTuple):
    """L2 of a batch: its gradient is ``weight * vector``, once for each vector met.

    Attributes:
        user: Weight of user vectors.
        items: (M,) weights of the vectors of each user's items.
        bias: Weight of item biases.
    """

    user: float
    items: Tensor
    bias: float


class GatheredScores(torch.autograd.Function):
    """``scores[b, m] = U[users[b]] · V[items[b, m]] + b[items[b, m]]`` with L2 on its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        U: Tensor,
        V: Tensor,
        b: Tensor,
        users_B: Tensor,
        items_BM: Tensor,
        l2: L2,
        sparse: bool,
    ) -> Tensor:
        """Score the pairs: (B, M) float32."""
        ctx.save_for_backward(U, V, b, users_B, items_BM)
        ctx.l2, ctx.sparse = l2, sparse
        scores_BM = torch.empty(items_BM.shape)
        _score(*_arrays(U, V, b, users_B, items_BM, scores_BM), b.requires_grad)
        return scores_BM

    @staticmethod
    def backward(ctx: Any, slopes_BM: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the tables: dense, or sparse where a batch meets few of their rows."""
        U, V, b, users_B, items_BM = ctx.saved_tensors
        at_B, to_user = _target(U, users_B, ctx.sparse)
        at_BM, to_item = _target(V, items_BM, ctx.sparse)
        to_bias = torch.zeros_like(b)
        _backpropagate(
            *_arrays(U, V, b, users_B, items_BM, slopes_BM.contiguous()),
            *_arrays(at_B, at_BM, to_user, to_item, to_bias, ctx.l2.items),
            np.float32(ctx.l2.user),
            np.float32(ctx.l2.bias),
        )
        return (
            _gradient(U, users_B, to_user),
            _gradient(V, items_BM, to_item),
            to_bias if ctx.needs_input_grad[2] else None,
            *(None, None, None, None),
        )


def _arrays(*tensors: Tensor) -> list[NDArray[Any]]:
    return [tensor.detach().numpy() for tensor in tensors]


def _target(table: Tensor, rows: Tensor, sparse: bool) -> tuple[Tensor, Tensor]:
    """Where each entry's gradient goes: its row of the table, or a row of its own."""
    if sparse and len(table) >= _SPARSE_FROM * rows.numel():
        own = torch.arange(rows.numel()).view(rows.shape)
        return own, torch.zeros(rows.numel(), table.shape[1])
    return rows, torch.zeros_like(table)


def _gradient(table: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    if len(values) == len(table):
        return values
    return torch.sparse_coo_tensor(rows.reshape(1, -1), values, table.shape, check_invariants=False)


def _score_pairs(U: Any, V: Any, b: Any, users: Any, items: Any, scores: Any, biased: Any) -> None:
    for k in range(items.shape[0]):
        u = users[k]
        for m in range(items.shape[1]):
            i = items[k, m]
            total = np.float32(0.0)
            for f in range(U.shape[1]):
                total += U[u, f] * V[i, f]
            scores[k, m] = total + b[i] if biased else total


def _add_gradients(  # noqa: PLR0913 - a compiled kernel
    U: Any,
    V: Any,
    b: Any,
    users: Any,
    items: Any,
    slopes: Any,
    at_user: Any,
    at_item: Any,
    to_user: Any,
    to_item: Any,
    to_bias: Any,
    l2_items: Any,
    l2_user: Any,
    l2_bias: Any,
) -> None:
    for k in range(items.shape[0]):
        u = users[k]
        p = at_user[k]
        for f in range(U.shape[1]):
            to_user[p, f] += l2_user * U[u, f]
        for m in range(items.shape[1]):
            i = items[k, m]
            q = at_item[k, m]
            slope = slopes[k, m]
            l2 = l2_items[m]
            for f in range(U.shape[1]):
                to_item[q, f] += slope * U[u, f] + l2 * V[i, f]
            for f in range(U.shape[1]):
                to_user[p, f] += slope * V[i, f]
            to_bias[i] += slope + l2_bias * b[i]


_compiled = numba.njit(cache=True, nogil=True, fastmath=set(_FAST), error_model="numpy")
_score: Callable[..., None] = _compiled(_score_pairs)
_backpropagate: Callable[..., None] = _compiled(_add_gradients)
