"""The listwise engine: all positives of a block of users in one matrix product.

Shapes: B users of a block, n items that it meets, I items that training meets, d latent size.
"""

from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError
from hbpr.models import MatrixFactorization, Recommender
from hbpr.settings.models import (
    AllNegatives,
    AnyNegatives,
    BlockNegatives,
    OptimizerSettings,
    SharedNegatives,
    TrainingSettings,
    TrialSettings,
)
from hbpr.training.autograd import pick_device
from hbpr.training.engine import Engine, State
from hbpr.training.listwise.block import LEAST_TILE_USERS, Block, Places, Sample, gradients
from hbpr.training.listwise.pairs import TrainingPairs, chances, draw
from hbpr.training.listwise.side import Side
from hbpr.training.listwise.steps import RULES
from hbpr.training.losses import LOSSES
from hbpr.training.losses.blocks import TopWeights
from hbpr.training.random_state import load_random_state, random_state


class ListwiseEngine(Engine):
    """Train matrix factorization by blocks of users, with gradients written by hand.

    All positives of a user share one row of scores against every item, or against a sample that the
    block shares. The gradient of a block is the sum over its positives. L2 acts once for each
    positive on its user and its item, and on negatives as if each positive had one of its own. On a
    CPU results repeat bit for bit with the seed and the number of threads; on a GPU sums in another
    order differ in their last digits.

    Args:
        model: Moved to the device and trained in place.
        data: Its training part and training negatives are read, nothing else.
        optimizer: ``sgd``, ``adagrad`` or ``adam``, and regularisation.
        training: Loss, what a block is set against, device and seed.
        threads: Threads of torch's matrix products.

    Raises:
        ConfigError: Every item is asked for, and that takes more memory than a block may have.
    """

    name: ClassVar[str] = "listwise"
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
        assert isinstance(negatives, BlockNegatives)  # see why_not_listwise
        check_memory(data, model.n_latent, negatives)
        self._device = device = pick_device(training.device)
        self.model = model.to(device).eval()
        self._settings = optimizer
        self._negatives = negatives
        self._threads = threads
        loss = LOSSES[training.loss_function]
        objective = (negatives.mask_positives and loss.masked_block) or loss.block
        assert objective is not None  # see why_not_listwise
        self._objective = objective
        self._top = None
        if negatives.top_weight:
            self._top = TopWeights(negatives.top_weight, negatives.top_weight_temperature)
        self._sides = _sides(model, data, optimizer.name)
        self._rng = np.random.default_rng(training.seed)
        self._positives = TrainingPairs.positives(data, negatives.observed_as_positive, device)
        self._observed = TrainingPairs.observed(data, negatives.observed_weight, device)
        met = data.trainable_items
        self._met = None if met is None else torch.from_numpy(np.flatnonzero(met)).to(device)
        self._n_items = n_trainable(data)
        self._cumulated = np.zeros(0)
        if isinstance(negatives, SharedNegatives):
            self._cumulated = np.cumsum(chances(data, negatives.alpha))
        counts = data.train.counts
        self._learnable = np.flatnonzero((counts > 0) & (counts < self._n_items))

    def train_epoch(self, lr: float) -> float:
        """Visit every training positive once, users in random order; return the mean loss."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.no_grad():
                order = torch.from_numpy(self._rng.permutation(self._learnable)).to(self._device)
                total = torch.zeros(2, dtype=torch.float64, device=self._device)
                for users_B in torch.split(order, self._negatives.block_users):
                    total += self._train(users_B, lr)
                loss, weight = total.tolist()
                return float(loss / weight) if weight else 0.0
        finally:
            torch.set_num_threads(before)

    def _train(self, users_B: Tensor, lr: float) -> Tensor:
        """One step of a block; return its loss and the weight of its positives: (2,)."""
        positives = self._positives.of_users(users_B)
        apart = self._observed.of_users(users_B)
        sample, rows = None, self._met
        if isinstance(self._negatives, SharedNegatives):
            sample, places, positives, apart = self._sample(self._negatives, positives, apart)
            rows = places if self._met is None else self._met[places]
        users = self._sides.users.vectors(users_B)
        items, biases = self._sides.items.vectors(rows), self._sides.biases.vectors(rows)
        bias = biases.final[:, 0]
        block = Block(users.final, items.final, bias, positives, apart, sample, self._top)
        found = gradients(block, self._objective)
        l2_users, l2_items, l2_biases = _l2(self._settings, block, self._n_items)
        self._sides.users.step(users, found.users, l2_users, lr)
        self._sides.items.step(items, found.items, l2_items, lr)
        if self.model.item_bias:
            self._sides.biases.step(biases, found.biases, l2_biases, lr)
        return torch.stack([found.loss, positives.weights.sum(dtype=torch.float64)])

    def _sample(
        self, settings: SharedNegatives, positives: Places, apart: Places
    ) -> tuple[Sample, Tensor, Places, Places]:
        """Draw a block's columns; number its items anew: the columns, and those of its pairs."""
        drawn, counts = draw(self._rng, self._cumulated, settings)
        columns = torch.from_numpy(drawn).to(self._device)
        named = torch.cat([columns, positives.items, apart.items])
        places, numbers = torch.unique(named, return_inverse=True)
        sizes = [len(columns), len(positives.items), len(apart.items)]
        numbered = torch.split(numbers, sizes)
        sample = Sample(numbered[0], torch.from_numpy(counts).to(self._device))
        return (
            sample,
            places,
            positives._replace(items=numbered[1]),
            apart._replace(items=numbered[2]),
        )

    def state(self) -> State:
        """What the optimizer keeps of each row, and the random state."""
        arrays: State = {"random": random_state(self._rng)}
        for name, side in self._sides._asdict().items():
            arrays |= {f"{name}/{key}": value for key, value in side.state().items()}
        return arrays

    def load_state(self, state: State) -> None:
        """Put back what `state` returned."""
        load_random_state(self._rng, state["random"])
        for name, side in self._sides._asdict().items():
            start = f"{name}/"
            side.load_state(
                {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            )


class _Sides(NamedTuple):
    users: Side
    items: Side
    biases: Side


def _sides(model: MatrixFactorization, data: Interactions, rule: str) -> _Sides:
    cosine = model.similarity == "cosine"
    scale = 1.0 if model.temperature is None else 1.0 / float(model.temperature)
    biases = model.b.detach().unsqueeze(1)
    return _Sides(
        Side(model.U, data.user_features, cosine=cosine, scale=scale, rule=rule),
        Side(model.V, data.item_features, cosine=cosine, scale=1.0, rule=rule),
        Side(biases, data.item_features, cosine=False, scale=1.0, rule=rule),
    )


class _L2(NamedTuple):
    """Weights of a block's rows, (B, 1), (n, 1) and (n, 1); None where there is no L2."""

    users: Tensor | None
    items: Tensor | None
    biases: Tensor | None


def _l2(settings: OptimizerSettings, block: Block, n_items: int) -> _L2:
    """Count how often each row is a positive's, and its share of one negative for each positive."""
    positives = block.positives
    regularised = (settings.reg_user, settings.reg_positive, settings.reg_negative)
    if not any((*regularised, settings.reg_bias)):
        return _L2(None, None, None)
    of_users = block.biases.new_zeros(len(block.users))
    of_users.index_add_(0, positives.users, positives.weights)
    of_items = torch.zeros_like(block.biases)
    of_items.index_add_(0, positives.items, positives.weights)
    share = positives.weights.sum() / n_items
    if block.sample is None:
        against = share.expand(len(block.items))
    else:
        against = torch.zeros_like(block.biases)
        against[block.sample.items] = share * block.sample.counts
    items = settings.reg_positive * of_items + settings.reg_negative * against
    return _L2(
        (settings.reg_user * of_users).unsqueeze(1),
        items.unsqueeze(1),
        (settings.reg_bias * (of_items + against)).unsqueeze(1),
    )


def n_trainable(data: Interactions) -> int:
    """Number of items that training meets."""
    return data.n_items if data.trainable_items is None else int(data.trainable_items.sum())


def memory_mib(data: Interactions, n_latent: int) -> float:
    """Memory of a small tile of scores against every item, with vectors and gradients of these."""
    return 4.0 * n_trainable(data) * (LEAST_TILE_USERS + 3 * n_latent) / 2**20


def check_memory(data: Interactions, n_latent: int, negatives: AnyNegatives) -> None:
    """Refuse every item where that takes more memory than a block may have.

    Raises:
        ConfigError: It does.
    """
    if not isinstance(negatives, AllNegatives):
        return
    needed = memory_mib(data, n_latent)
    if needed > negatives.block_mib:
        raise ConfigError(
            f"training.negatives.kind: all sets a block against {n_trainable(data):,} items, which "
            f"takes {needed:,.0f} MiB, and training.negatives.block_mib allows "
            f"{negatives.block_mib:,}; use kind shared, which draws a sample, or raise block_mib"
        )


def why_not_listwise(model: Recommender, settings: TrialSettings) -> str | None:
    """Return why the listwise engine does not cover the settings, or None where it does."""
    negatives = settings.training.negatives
    if not isinstance(model, MatrixFactorization):
        return f"model.kind {settings.model.kind} is not matrix factorization"
    if not isinstance(negatives, BlockNegatives):
        return (
            f"training.negatives.kind {negatives.kind} draws for each positive; all and shared are "
            "for blocks"
        )
    if LOSSES[settings.training.loss_function].block is None:
        fitting = " and ".join(name for name, each in LOSSES.items() if each.block is not None)
        return (
            f"training.loss_function {settings.training.loss_function} is not for blocks; "
            f"{fitting} are"
        )
    if settings.optimizer.name not in RULES:
        return f"optimizer.name {settings.optimizer.name} is none of {', '.join(RULES)}"
    if settings.training.precision != "float32":
        return f"training.precision is {settings.training.precision}"
    return None
