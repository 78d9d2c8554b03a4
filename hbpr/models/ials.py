"""Matrix factorization of every cell by alternating least squares.

Shapes: U users, I items, d size of the vectors, b rows of a batch, n the most entries of one of
them, k numbers solved for at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hbpr.data.interactions import UserItems
from hbpr.errors import DivergedError
from hbpr.models.pairs import inner_products
from hbpr.models.recommender import Arrays, BlockScorer, PairScorer, VectorScorer
from hbpr.models.solved import SolvedRecommender

#: Numbers that a batch of rows gathers of the other side's vectors, or solves for: 16 MiB.
_GATHERED: Final = 2**22
#: Deviation of the first item vectors, divided by sqrt(d).
_INIT_STD: Final = 0.1


@dataclass(frozen=True)
class Penalty:
    """What holds the scores down.

    Attributes:
        unobserved: Weight of every cell, alpha0.
        l2: L2 of a vector whose row weighs 1.
        exponent: How L2 grows with the weight of the row, nu.
        block: Numbers of a vector that are solved for at once, k.
    """

    unobserved: float
    l2: float
    exponent: float
    block: int

    def of_rows(self, sums: NDArray[np.float64], n_cells: int) -> NDArray[np.float32]:
        """(n,) L2 of rows by the sums of their weights and the cells of a row."""
        return np.asarray(self.l2 * (sums + self.unobserved * n_cells) ** self.exponent, np.float32)


class Ials(SolvedRecommender):
    """Score ``U[u] · V[i]``, fitted to 1 where there is an interaction, and to 0 in every cell.

    Minimises ``sum over interactions of w (1 - s)² + alpha0 * sum over all cells of s² + sum over
    vectors of L2 * length²``, where a vector's L2 is ``l2 * (w of its interactions + alpha0 * cells
    of its row)^nu``. One pass solves for all users, then for all items. Weights w of interactions
    are divided by their mean. With `block` below d, a row's vector is solved for part after part,
    the rest held fixed: nearly as good a pass, at a fraction of the cost (iALS++).

    Args:
        train: (U, I) interactions to learn from, with weights if they have any.
        n_latent: Size of the vectors, d.
        unobserved_weight: alpha0, above 0.
        scaled_l2: L2 before it is scaled, above 0.
        l2_exponent: nu.
        block: Numbers solved for at once; d or more: the exact solution.
        seed: Of the first item vectors, normal with deviation 0.1 / sqrt(d).

    Attributes:
        U: (U, d) float32 user vectors.
        V: (I, d) float32 item vectors.

    Source:
        Rendle, Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation
        benchmarks", RecSys 2022, with the scaling of its section 3.2.2; parts: Rendle, Krichene,
        Zhang, Koren, "iALS++", 2021, arXiv:2110.14044.
    """

    def __init__(
        self,
        train: UserItems,
        *,
        n_latent: int = 64,
        unobserved_weight: float = 0.1,
        scaled_l2: float = 0.02,
        l2_exponent: float = 1.0,
        block: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(train)
        self._penalty = Penalty(unobserved_weight, scaled_l2, l2_exponent, block)
        self._train = train
        rng = np.random.default_rng(seed)
        first = rng.standard_normal((train.n_items, n_latent), dtype=np.float32)
        self.V = first * np.float32(_INIT_STD / np.sqrt(n_latent))
        self.U = np.zeros((train.n_users, n_latent), np.float32)
        self._sides: tuple[UserItems, UserItems] | None = None

    def solve(self, *, threads: int = 1) -> float:
        """Solve for all users, then for all items; see `SolvedRecommender.solve`."""
        if self._sides is None:
            self._sides = _both_sides(self._train)
        by_user, by_item = self._sides
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            self.U = solve_rows(by_user, self.U, self.V, self._penalty)
            self.V = solve_rows(by_item, self.V, self.U, self._penalty)
        finally:
            torch.set_num_threads(before)
        return self._loss(by_user, by_item)

    def _loss(self, by_user: UserItems, by_item: UserItems) -> float:
        """Return what is minimised, for a mean interaction."""
        none = np.zeros(self.n_items, np.float32)
        scores = inner_products(self.U, self.V, none, by_user.users(), by_user.items)
        observed = float((_weights(by_user) * (1.0 - scores) ** 2).sum())
        cells = float(((self.U.T @ self.U) * (self.V.T @ self.V)).sum())
        lengths = 0.0
        for rows, vectors in ((by_user, self.U), (by_item, self.V)):
            l2 = self._penalty.of_rows(_sums(rows), rows.n_items)
            lengths += float((l2 * (vectors * vectors).sum(1)).sum())
        total = observed + self._penalty.unobserved * cells + lengths
        return total / max(by_user.n_pairs, 1)

    def block_scorer(self) -> BlockScorer:
        """Return a function that scores the whole catalogue for a block of users."""
        users_Ud, score = self.U, self.vector_scorer()
        return lambda users_B: score(users_Ud[users_B])

    def pair_scorer(self) -> PairScorer:
        """Return a function that scores single pairs."""
        users_Ud, items_Id = self.U, self.V
        none = np.zeros(self.n_items, np.float32)
        return lambda users_n, items_n: inner_products(users_Ud, items_Id, none, users_n, items_n)

    def vector_scorer(self) -> VectorScorer:
        """Return a scorer of blocks of user vectors: one matrix product a block."""
        items_dI = np.ascontiguousarray(self.V.T)
        return lambda users_Bd: np.asarray(users_Bd @ items_dI, np.float32)

    def known_vectors(self) -> NDArray[np.float32]:
        """(U, d) float32 user vectors."""
        return self.U

    def item_vectors(self) -> NDArray[np.float32]:
        """(I, d) float32 item vectors."""
        return self.V

    def fold_in(self, items: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the (d,) vector that training would have solved for, given the items' vectors."""
        one = UserItems.from_pairs(np.zeros(len(items)), items, n_users=1, n_items=self.n_items)
        exact = Penalty(
            self._penalty.unobserved, self._penalty.l2, self._penalty.exponent, self.V.shape[1]
        )
        start = np.zeros((1, self.V.shape[1]), np.float32)
        return np.asarray(solve_rows(one, start, self.V, exact)[0])

    def arrays(self) -> Arrays:
        """Return both sides' vectors; `solve` makes new ones."""
        return {"U": self.U, "V": self.V}

    def load_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over both sides' vectors."""
        self.U = np.asarray(arrays["U"], np.float32)
        self.V = np.asarray(arrays["V"], np.float32)


def solve_rows(
    rows: UserItems,
    vectors: NDArray[np.float32],
    others: NDArray[np.float32],
    penalty: Penalty,
) -> NDArray[np.float32]:
    """Return new vectors of the rows, each the least-squares solution beside the others.

    Args:
        rows: (n, m) interactions by row, with weights.
        vectors: (n, d) vectors to begin from: what is solved for part after part depends on them.
        others: (m, d) vectors of the columns.
        penalty: What holds the scores down.

    Returns:
        (n, d) float32; zero where a row has no interaction.
    """
    d = others.shape[1]
    columns = torch.from_numpy(others)
    gram = penalty.unobserved * (columns.T @ columns)
    l2 = torch.from_numpy(penalty.of_rows(_sums(rows), rows.n_items))
    found = torch.zeros((rows.n_users, d))
    parts = [slice(k, min(k + penalty.block, d)) for k in range(0, d, penalty.block)]
    for batch, items, weights in _batches(rows, d, min(penalty.block, d)):
        gathered = columns[items]  # (b, n, d)
        x = torch.from_numpy(vectors[batch])
        scores = (gathered @ x.unsqueeze(2)).squeeze(2)
        ridge = l2[batch].unsqueeze(1)
        for part in parts:
            own = gathered[:, :, part]
            slope = (weights * (scores - 1.0)).unsqueeze(1) @ own
            slope = slope.squeeze(1) + x @ gram[:, part] + ridge * x[:, part]
            curve = own.transpose(1, 2) @ (weights.unsqueeze(2) * own) + gram[part, part]
            curve.diagonal(dim1=1, dim2=2).add_(ridge)
            root, problems = torch.linalg.cholesky_ex(curve)
            if problems.any():
                raise DivergedError("iALS cannot solve for its vectors")
            step = torch.cholesky_solve(slope.unsqueeze(2), root)
            x[:, part] -= step.squeeze(2)
            if len(parts) > 1:
                scores -= (own @ step).squeeze(2)
        found[batch] = x
    return np.asarray(found.numpy())


def _batches(
    rows: UserItems, d: int, block: int
) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
    """Yield rows of about as many entries each: indices (b,), items and weights (b, n).

    What a row has too few of is filled with an item of weight 0.
    """
    counts, entry_weights = rows.counts, _weights(rows)
    order = np.argsort(counts, kind="stable")
    order = order[counts[order] > 0]
    needs = np.maximum(counts[order] * d, block * block)
    start = 0
    while start < len(order):
        end = start + 1  # the longest row of a batch is its last, to whose length all are filled
        while end < len(order) and (end + 1 - start) * needs[end] <= _GATHERED:
            end += 1
        batch = order[start:end]
        most = int(counts[batch[-1]])
        places = rows.indptr[batch][:, None] + np.arange(most)
        real = np.arange(most) < counts[batch][:, None]
        places = np.where(real, places, 0)
        items = torch.from_numpy(rows.items[places].astype(np.int64))
        weights = torch.from_numpy(np.where(real, entry_weights[places], 0.0).astype(np.float32))
        yield batch, items, weights
        start = end


def _both_sides(train: UserItems) -> tuple[UserItems, UserItems]:
    """Return the interactions by user and by item, with weights of mean 1 if they have any."""
    weights = train.weights
    if weights is not None:
        weights = np.asarray(weights / max(float(weights.mean()), 1e-30), np.float32)
    by_user = UserItems(train.indptr, train.items, train.n_items, weights)
    order = np.argsort(train.items, kind="stable")
    indptr = np.zeros(train.n_items + 1, np.int64)
    np.cumsum(np.bincount(train.items, minlength=train.n_items), out=indptr[1:])
    own = None if weights is None else weights[order]
    return by_user, UserItems(indptr, train.users()[order], train.n_users, own)


def _weights(rows: UserItems) -> NDArray[np.float32]:
    return np.ones(rows.n_pairs, np.float32) if rows.weights is None else rows.weights


def _sums(rows: UserItems) -> NDArray[np.float64]:
    """(n,) sum of the weights of each row."""
    owners = np.repeat(np.arange(rows.n_users), rows.counts)
    return np.bincount(owners, _weights(rows), rows.n_users).astype(np.float64)
