"""The fused engine: one compiled loop that draws, scores and updates torch parameters in place."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray

from hbpr.data.interactions import Interactions
from hbpr.models import MatrixFactorization, Recommender
from hbpr.settings.models import (
    NegativeSettings,
    OptimizerSettings,
    TrainingSettings,
    TrialSettings,
)
from hbpr.training.engine import Engine, State
from hbpr.training.fused import hybrid, onehot
from hbpr.training.fused.copies import Copies, Shared, rounds_of, shares
from hbpr.training.fused.draws import KINDS
from hbpr.training.fused.gradients import code_of
from hbpr.training.fused.pools import follow, make_pools, positions_of
from hbpr.training.fused.sharing import split_features, stride_of
from hbpr.training.losses import LOSSES
from hbpr.training.losses.warp import harmonic_numbers
from hbpr.training.random_state import load_random_state, random_state
from hbpr.training.visits import visits

#: What a block's user rows and bit sets may take of the cache, and its most users.
_BLOCK_BYTES: Final = 512 * 1024
_BLOCK_USERS: Final = 100
#: Blocks that a thread has at least between two merges, so that no thread waits long for another.
_BLOCKS_PER_PART: Final = 6


class FusedEngine(Engine):
    """Train matrix factorization triple by triple, without intermediate tensors.

    Reproducible bit for bit from the seed and the number of threads. Several threads take blocks of
    users of their own and work on copies of the rows that they share, which are merged a few times
    an epoch; data too small to gain from it is trained by one.

    Args:
        model: Its parameters, on the CPU, change in place.
        data: Its training part and training negatives are read, nothing else.
        optimizer: ``sgd`` or ``adagrad``, and regularisation.
        training: Loss, negatives and seed.
        threads: Most threads that train at the same time; `n_threads` is how many do.
    """

    name: ClassVar[str] = "fused"
    model: MatrixFactorization

    def __init__(
        self,
        model: MatrixFactorization,
        data: Interactions,
        optimizer: OptimizerSettings,
        training: TrainingSettings,
        *,
        threads: int = 1,
    ) -> None:
        negatives = training.negatives
        assert isinstance(negatives, NegativeSettings)  # see why_not_fused
        self.model = model
        self._data = data
        self._weights = [p.detach().numpy() for p in (model.U, model.V, model.b)]
        self._adagrad = adagrad = optimizer.name == "adagrad"
        self._sums: list[NDArray[np.float32]] = [
            torch.zeros(w.shape if adagrad else (1,) * w.ndim).numpy()  # aligned as the weights
            for w in self._weights
        ]
        users, items = data.user_features, data.item_features
        self._loop = onehot.train_blocks
        self._features: tuple[Any, ...] = ()
        if not (users.is_identity and items.is_identity):
            self._loop = hybrid.train_blocks
            stride = stride_of(data.train.n_pairs, adagrad=adagrad)
            met = stride * (1 + negatives.per_positive)
            self._features = (split_features(users, stride), split_features(items, met), stride)
        self._rng = np.random.default_rng(training.seed)
        self._pools = make_pools(negatives, data)
        self._places = positions_of(data, self._pools)
        self._n_places = len(self._pools.catalogue) or data.n_items
        self._copies = self._make_copies(threads, negatives.per_positive)
        self.n_threads = self._copies.threads if self._copies else 1
        self._make_blocks(data, 4 * model.n_latent * (1 + adagrad))
        self._harmonic = harmonic_numbers(data.n_items)
        loss = LOSSES[training.loss_function]
        assert loss.gradient is not None  # see why_not_fused
        self._choices = (
            *code_of(loss.gradient),
            loss.rank_weighted,
            negatives.per_positive,
            negatives.warp_draws if loss.rank_weighted else negatives.hardest_of,
            adagrad,
            model.item_bias,
        )
        self._regularisation = tuple(
            np.float32(value)
            for value in (
                optimizer.reg_user,
                optimizer.reg_positive,
                optimizer.reg_negative,
                optimizer.reg_bias,
            )
        )

    def _make_blocks(self, data: Interactions, vector_bytes: int) -> None:
        """Part the users into blocks that fit the cache, and make room for one block a thread.

        Args:
            data: What is trained on.
            vector_bytes: Bytes of a user's vector and of what the optimizer keeps of it.
        """
        words = -(-data.n_items // 64)
        row_bytes = vector_bytes + 8 * min(words, int(data.train.counts.max()))
        most_users = _BLOCK_USERS
        if self._copies:
            n_parts = self._copies.threads * self._copies.rounds
            most_users = min(_BLOCK_USERS, max(1, data.n_users // (n_parts * _BLOCKS_PER_PART)))
        self._block_users = int(np.clip(_BLOCK_BYTES // row_bytes, 1, most_users))
        self._n_blocks = -(-data.n_users // self._block_users)
        edges = np.arange(self._n_blocks + 1) * self._block_users
        starts = data.train.indptr[np.minimum(edges, data.n_users)]
        self._block_pairs = np.diff(starts)
        self._visits = np.zeros(0, np.int32)
        counts = data.train.counts
        self._learnable = np.repeat(counts < self._n_places, counts)  # others have no negative
        self._n_learnable = int(self._learnable.sum())
        most_visits = self._block_pairs
        if data.train.weights is not None:
            most = np.ceil(data.train.weights / data.train.weights.mean(dtype=np.float64))
            most_visits = np.diff(np.concatenate([[0], np.cumsum(most)])[starts]).astype(np.int64)
        largest = int(most_visits.max())
        self._scratch = [
            (
                np.empty((largest, 2), np.int32),
                np.zeros((self._block_users, words), np.uint64),
                np.zeros(1, np.uint64),
            )
            for _ in range(self.n_threads)
        ]

    def train_epoch(self, lr: float) -> float:
        """Visit every training positive once, in random order; return the mean loss."""
        self._pools = follow(self._pools, self.model)
        if self._data.train.weights is not None:
            draws = self._rng.random(self._data.train.n_pairs)
            self._visits = visits(self._data.train.weights, draws)
        blocks = self._rng.permutation(self._n_blocks)
        seeds = self._rng.integers(0, 2**63, self.n_threads, dtype=np.uint64)
        for (_, _, state), seed in zip(self._scratch, seeds, strict=True):
            state[0] = seed
        rows = [*self._weights, *self._sums]
        if self._copies is None:
            total = self._train(0, rows, blocks, lr)
        else:
            total = self._train_together(self._copies, rows, blocks, lr)
        if len(self._visits):
            return total / max(1, int(self._visits[self._learnable].sum()))
        return total / max(1, self._n_learnable)

    def _make_copies(self, threads: int, per_positive: int) -> Copies | None:
        """Copies of the rows that threads would contend for, or None where one thread trains."""
        data = self._data
        # a user's own row is met by no thread but the one that has the user
        first = 1 if data.user_features.is_identity else 0
        n_rows = sum(len(w) for w in self._weights[first:2])
        rounds = rounds_of(data.train.n_pairs, n_rows, threads)
        if threads < 2 or rounds < 1:
            return None
        counts = np.bincount(data.train.items, minlength=data.n_items)
        met_items = data.item_features.to_csr().T @ (
            counts + per_positive * data.train.n_pairs / data.n_items
        )
        met_users = data.user_features.to_csr().T @ data.train.counts
        met = [np.asarray(m, np.float32) for m in (met_users, met_items, met_items)]
        columns = [a if a.ndim == 2 else a[:, None] for a in (*self._weights, *self._sums)]
        shared = [Shared(columns[k], columns[k + 3], met[k]) for k in range(first, 3)]
        return Copies(shared, threads, rounds, adagrad=self._adagrad)

    def _train_together(
        self,
        copies: Copies,
        rows: list[NDArray[np.float32]],
        blocks: NDArray[np.int64],
        lr: float,
    ) -> float:
        """Train with several threads, each on its part of the blocks in each round."""
        parts = [
            [turn[places] for places in shares(self._block_pairs[turn], copies.threads)]
            for turn in np.array_split(blocks, copies.rounds)
        ]

        def work(thread: int, turn: int) -> float:
            own, own_sums = copies.rows_of(thread), copies.sums_of(thread)
            own[-1], own_sums[-1] = own[-1][:, 0], own_sums[-1][:, 0]  # biases
            apart = 3 - len(own)
            mixed = [*rows[:apart], *own, *rows[3 : 3 + apart], *own_sums]
            return self._train(thread, mixed, parts[turn][thread], lr)

        return copies.run(work, lr)

    def _train(
        self, thread: int, rows: Sequence[NDArray[np.float32]], blocks: NDArray[np.int64], lr: float
    ) -> float:
        order, known, state = self._scratch[thread]
        data = self._data
        return float(
            self._loop(
                *rows,
                *self._features,
                data.train.indptr,
                data.train.items,
                self._places,
                self._n_places,
                self._visits,
                self._pools,
                blocks,
                self._block_users,
                order,
                known,
                state,
                self._harmonic,
                *self._choices,
                np.float32(lr),
                self._regularisation,
            )
        )

    def state(self) -> State:
        """Adagrad's sums and the random state."""
        arrays: State = {
            f"sums/{k}": sums.copy() for k, sums in zip("UVb", self._sums, strict=True)
        }
        arrays["random"] = random_state(self._rng)
        return arrays

    def load_state(self, state: State) -> None:
        """Put back what `state` returned."""
        for name, sums in zip("UVb", self._sums, strict=True):
            sums[...] = state[f"sums/{name}"]
        load_random_state(self._rng, state["random"])


def why_not_fused(model: Recommender, settings: TrialSettings) -> str | None:
    """Return why the fused engine does not cover the settings, or None where it does."""
    if not isinstance(model, MatrixFactorization):
        return f"model.kind {settings.model.kind} is not matrix factorization"
    if model.temperature is not None:
        return f"model.similarity is {model.similarity}, and vectors are not the tables' rows"
    negatives = settings.training.negatives
    if not isinstance(negatives, NegativeSettings) or negatives.kind not in KINDS:
        return f"training.negatives.kind {negatives.kind} has no compiled draws"
    if settings.optimizer.name not in ("sgd", "adagrad"):
        return f"optimizer.name {settings.optimizer.name} is neither sgd nor adagrad"
    if LOSSES[settings.training.loss_function].gradient is None:
        return f"training.loss_function {settings.training.loss_function} has no fused gradient"
    if settings.training.device == "cuda":
        return "training.device is cuda"
    if settings.training.precision != "float32":
        return f"training.precision is {settings.training.precision}"
    return None
