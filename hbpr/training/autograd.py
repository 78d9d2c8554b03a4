"""The autograd engine: any model, any loss, on CPU or GPU, in batches of torch operations.

Shapes: B positives in a batch, N negatives each, H candidates for each negative.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
import torch
from torch import Tensor, nn

from hbpr.data.interactions import Interactions
from hbpr.errors import ConfigError, EngineError
from hbpr.models import FeatureRecommender, MatrixFactorization
from hbpr.models.gathered import L2
from hbpr.settings.models import NegativeSettings, OptimizerSettings, TrainingSettings
from hbpr.training.engine import Engine, State
from hbpr.training.losses import LOSSES
from hbpr.training.losses.warp import harmonic_numbers
from hbpr.training.negatives import NegativeSampler
from hbpr.training.visits import visits

_OPTIMIZERS: Final[dict[str, Callable[..., torch.optim.Optimizer]]] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


class AutogradEngine(Engine):
    """Train by torch autograd on batches drawn and verified on the model's device.

    The loss of a batch is the sum over its positives, so that a learning rate means the same
    whatever the batch size is.

    Args:
        model: Moved to the device and trained in place.
        data: Its training part and training negatives are read, nothing else.
        optimizer: Update rule and regularisation. adamw decays weights apart from the gradient
            (Loshchilov & Hutter, ICLR 2019); the others add L2 to the loss.
        training: Loss, negatives, batch size, device and seed.
    """

    name: ClassVar[str] = "autograd"
    model: FeatureRecommender

    def __init__(
        self,
        model: FeatureRecommender,
        data: Interactions,
        optimizer: OptimizerSettings,
        training: TrainingSettings,
    ) -> None:
        drawn = training.negatives
        if not isinstance(drawn, NegativeSettings):
            raise EngineError(
                f"training.negatives.kind: nothing draws kind {drawn.kind} for each positive"
            )
        self._drawn = drawn
        self._device = pick_device(training.device)
        self.model = model.to(self._device).eval()
        self._settings = training
        self._loss_kind = LOSSES[training.loss_function]
        negatives = [optimizer.reg_negative] * drawn.per_positive
        weights_M = torch.tensor([optimizer.reg_positive, *negatives], device=self._device)
        self._l2 = L2(optimizer.reg_user, weights_M, optimizer.reg_bias)
        if optimizer.name == "adamw":
            self._l2 = L2(0.0, torch.zeros_like(weights_M), 0.0)
        if isinstance(model, MatrixFactorization):
            model.sparse_gradients = optimizer.name in ("sgd", "adagrad")
        self._optimizer = _OPTIMIZERS[optimizer.name](
            _parameter_groups(model, optimizer), lr=optimizer.lr
        )
        counts = data.train.counts
        users = data.train.users().astype(np.int64)
        trainable = data.trainable_items
        n_items = data.n_items if trainable is None else int(trainable.sum())
        learnable = np.flatnonzero(counts[users] < n_items)  # else there is no negative
        self._users = torch.from_numpy(users[learnable]).to(self._device)
        items = data.train.items[learnable].astype(np.int64)
        self._items = torch.from_numpy(items).to(self._device)
        weights = data.train.weights
        self._weights = None if weights is None else weights[learnable]
        self._sampler = NegativeSampler(
            drawn,
            data.train,
            data.train_negatives,
            self._device,
            trainable=data.trainable_items,
        )
        self._n_items = n_items
        self._harmonic = torch.from_numpy(harmonic_numbers(data.n_items)).to(self._device)
        self._generator = torch.Generator(self._device).manual_seed(training.seed)

    def train_epoch(self, lr: float) -> float:
        """Visit every training positive once, in random order; return the mean loss."""
        if not any(isinstance(m, nn.Dropout) and m.p > 0.0 for m in self.model.modules()):
            return self._visit(lr)
        # Dropout draws from torch's global generator: seed that from ours, and give it back.
        gpus = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(gpus):
            drawn = torch.randint(2**62, (), generator=self._generator, device=self._device)
            torch.manual_seed(int(drawn))
            return self._visit(lr)

    def _visit(self, lr: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._sampler.follow(self.model)
        order = self._order()
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        for batch in torch.split(order, self._settings.batch_size):
            users_B, items_B = self._users[batch], self._items[batch]
            negatives_BN, weights_BN = self._negatives(users_B, items_B)
            self._optimizer.zero_grad()
            loss = self._loss(users_B, items_B, negatives_BN, weights_BN)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            total += loss.detach()
        return float(total) / max(1, len(order))

    def _order(self) -> Tensor:
        """Positives of an epoch in random order, those with weights as often as they weigh."""
        n = len(self._users)
        if self._weights is None:
            return torch.randperm(n, generator=self._generator, device=self._device)
        draws = torch.rand(n, generator=self._generator, device=self._device, dtype=torch.float64)
        copies = torch.from_numpy(visits(self._weights, draws.cpu().numpy())).to(self._device)
        visited = torch.arange(n, device=self._device).repeat_interleave(copies)
        shuffled = torch.randperm(len(visited), generator=self._generator, device=self._device)
        return visited[shuffled]

    def _negatives(self, users_B: Tensor, items_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """Draw (B, N) negatives, and the weights of the loss where it is rank-weighted."""
        wanted = self._drawn
        ranked = self._loss_kind.rank_weighted
        n, h = wanted.per_positive, wanted.warp_draws if ranked else wanted.hardest_of
        drawn = self._sampler.draw(users_B.unsqueeze(1).expand(-1, n * h), self._generator)
        if h == 1 and not ranked:
            return drawn, None
        with torch.no_grad():
            none = L2(0.0, torch.zeros(n * h, device=self._device), 0.0)
            scores_BNH = self.model.batch_scores(users_B, drawn, none).view(-1, n, h)
            if not ranked:
                chosen = scores_BNH.argmax(2, keepdim=True)
                return drawn.view(-1, n, h).gather(2, chosen).squeeze(2), None
            positive = self.model(users_B, items_B).view(-1, 1, 1)
            violates = scores_BNH > positive - 1.0
            first = violates.int().argmax(2, keepdim=True)  # 0 also where none violates
            rank = torch.div(self._n_items - 1, first.squeeze(2) + 1, rounding_mode="floor")
            weights = self._harmonic[rank.clamp(min=1)] * violates.any(2)
        return drawn.view(-1, n, h).gather(2, first).squeeze(2), weights

    def _loss(
        self, users_B: Tensor, items_B: Tensor, negatives_BN: Tensor, weights_BN: Tensor | None
    ) -> Tensor:
        """Loss, summed over the batch; L2 acts on its gradients alone. Dropout is active here."""
        model = self.model.train()
        items = torch.cat([items_B.unsqueeze(1), negatives_BN], dim=1)  # one gather, one scatter
        halved = self._settings.precision == "bfloat16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=halved):
            scores = model.batch_scores(users_B, items, self._l2).float()
        model.eval()
        positive_B, negative_BN = scores[:, 0], scores[:, 1:]
        weights = () if weights_BN is None else (weights_BN,)
        return self._loss_kind.function(positive_B, negative_BN, *weights).sum()

    def state(self) -> State:
        """Optimizer tensors and the generator's state, as arrays."""
        arrays: State = {"generator": self._generator.get_state().numpy()}
        for index, entries in self._optimizer.state_dict()["state"].items():
            for key, value in entries.items():
                arrays[f"optimizer/{index}/{key}"] = torch.as_tensor(value).cpu().numpy().copy()
        return arrays

    def load_state(self, state: State) -> None:
        """Put back what `state` returned."""
        self._generator.set_state(torch.from_numpy(state["generator"].copy()))
        entries: dict[int, dict[str, Any]] = {}
        for name, value in state.items():
            kind, _, rest = name.partition("/")
            if kind == "optimizer":
                index, _, key = rest.partition("/")
                entries.setdefault(int(index), {})[key] = torch.from_numpy(np.array(value))
        whole = self._optimizer.state_dict()
        whole["state"] = entries
        self._optimizer.load_state_dict(whole)


def pick_device(name: str) -> torch.device:
    """Turn ``auto | cpu | cuda`` into a device; auto takes a GPU where there is one.

    Raises:
        ConfigError: ``cuda`` is asked for where there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device: cuda was asked for, and torch finds no CUDA GPU here; "
            "set it to auto or cpu"
        )
    return torch.device(name)


def _parameter_groups(
    model: FeatureRecommender, settings: OptimizerSettings
) -> list[dict[str, Any]]:
    """One group a parameter; with adamw each with its own decoupled decay."""
    groups = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = 0.0
        if settings.name == "adamw":
            items = 0.5 * (settings.reg_positive + settings.reg_negative)
            vectors = {"U": settings.reg_user, "V": items, "b": settings.reg_bias}
            decay = vectors.get(name, 0.0)  # as with the others, layers do not decay
        groups.append({"params": [parameter], "weight_decay": decay})
    return groups
