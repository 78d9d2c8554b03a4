"""The training loop: an iterator of epoch reports that a script, a command and a trial share."""

import logging
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from time import perf_counter

from hbpr.contracts.metric import use_metrics
from hbpr.data.interactions import Interactions
from hbpr.errors import DataError, DivergedError, HbprError
from hbpr.evaluation import evaluate_part
from hbpr.evaluation.recommended import check_described
from hbpr.models import NeuMF, Recommender, build_model
from hbpr.settings.models import (
    GrowthSettings,
    NeuMFSettings,
    OptimizerSettings,
    TrialSettings,
)
from hbpr.training import checkpoint
from hbpr.training.engine import Engine, State, learning_rate
from hbpr.training.engines import make_engine, negatives_for
from hbpr.training.pretrain import pretrain
from hbpr.training.remarks import remarks
from hbpr.training.report import EpochReport
from hbpr.training.solve import not_looked_at

_log = logging.getLogger(__name__)

#: Remarks about data and settings that this process has logged: a search makes many trainers.
_SAID: set[str] = set()


class Trainer(Iterator[EpochReport]):
    """Train one model; every step of the iterator is one epoch.

    Validation is evaluated every ``training.eval_every`` epochs (every epoch of a model that is
    solved for), at the epochs of `evaluate_at` and
    after the last; the weights of the best epoch are kept. Patience looks at the first of these
    alone, so that `evaluate_at` does not change when training ends. Without a validation part every
    epoch counts as the best so far.

    Args:
        data: A split dataset. Its test part is not read.
        settings: Model, optimizer and training settings; ``settings.data`` is not read.
        threads: CPU threads that the engine may use.
        evaluate_at: Further epochs to evaluate, such as those at which a scheduler decides.

    Raises:
        DataError: The training part is empty, or lacks what a setting needs.
        EngineError: The engine asked for does not cover the settings.

    Example:
        >>> from hbpr.data import load_data
        >>> from hbpr.settings.models import DataSettings, TrialSettings
        >>> settings = TrialSettings(data=DataSettings(source="synthetic"))
        >>> trainer = Trainer(load_data(settings.data), settings)
        >>> next(trainer).epoch
        1
    """

    def __init__(
        self,
        data: Interactions,
        settings: TrialSettings,
        *,
        threads: int = 1,
        evaluate_at: Collection[int] = (),
    ) -> None:
        if data.train.n_pairs == 0:
            raise DataError(
                f"{data.name}: the training part has no positive interactions; "
                "add interactions, or lower data.rating_threshold"
            )
        draws = not settings.model.solved and settings.training.negatives.kind == "observed"
        if draws and not data.train_negatives.n_pairs:
            raise DataError(
                f"{data.name}: training.negatives.kind observed draws observed negatives, and the "
                "training part has none; use uniform, or data that say what was seen and not chosen"
            )
        use_metrics(settings.training.metrics)
        check_described(settings.training.metrics, data)
        self.data = data
        self.settings = settings
        self.model: Recommender = build_model(settings.model, data, seed=settings.training.seed)
        self._threads = threads
        self._evaluate_at = evaluate_at
        shape = settings.model
        self.n_epochs = shape.epochs(shape.model_dump(), settings.training.n_iter)
        self._eval_every = 1 if shape.solved else settings.training.eval_every
        self._share = self._share_of(1)
        self._engine, self.engine_reason = self._new_engine()
        self.engine_name = self._engine.name
        _log.debug("engine %s: %s", self.engine_name, self.engine_reason)
        for remark in self._remarks():
            if remark not in _SAID:
                _SAID.add(remark)
                _log.info(remark)
        self.epoch = 0
        self.best_epoch = 0
        self.best_value: float | None = None
        self.last_metrics: dict[str, float] = {}
        self._best: State = {}
        self._misses = 0
        self._awaited: float | None = None  # the best value that patience has seen
        self._done = False

    def __next__(self) -> EpochReport:
        """Train one epoch, and evaluate it when it is due.

        Raises:
            DivergedError: The loss is no longer a finite number, or a score is NaN.
        """
        if self._done:
            raise StopIteration
        training = self.settings.training
        self.epoch += 1
        if self._share_of(self.epoch) != self._share:
            self._share = self._share_of(self.epoch)
            self._renew_engine()
        lr = learning_rate(self.settings.optimizer, self.epoch, self.n_epochs)
        started = perf_counter()
        try:
            shape = self.settings.model
            if (
                self.epoch == 1
                and isinstance(self.model, NeuMF)
                and isinstance(shape, NeuMFSettings)
                and shape.pretrain_epochs
            ):
                pretrain(self.model, self._visited, self.settings)
            loss = self._engine.train_epoch(lr)
        except DivergedError as error:
            raise self._diverged(str(error), lr) from error
        train_s = perf_counter() - started
        if not math.isfinite(loss):
            raise self._diverged(f"the loss became {loss}", lr)
        last = self.epoch >= self.n_epochs
        metrics: dict[str, float] = {}
        is_best = False
        if self.data.validation.n_pairs == 0:
            is_best = True
            self.best_epoch = self.epoch
        elif (due := last or self.epoch % self._eval_every == 0) or (
            self.epoch in self._evaluate_at
        ):
            try:
                metrics = self._evaluate()
            except DivergedError as error:
                raise self._diverged("a score became NaN", lr) from error
            is_best = self._keep_if_best(metrics[training.monitor])
            if due:
                self._wait_for_more(metrics[training.monitor])
        patience = training.early_stopping_patience
        stopped_early = not last and 0 < patience <= self._misses
        self._done = last or stopped_early
        return EpochReport(
            epoch=self.epoch,
            loss=loss,
            metrics=metrics,
            n_positives=self._visited.train.n_pairs,
            train_s=train_s,
            eval_s=perf_counter() - started - train_s,
            best_epoch=self.best_epoch,
            best_value=self.best_value,
            is_best=is_best,
            done=self._done,
            stopped_early=stopped_early,
            data_share=self._share if self._growth else None,
        )

    def _remarks(self) -> list[str]:
        """Return in words what of the data or the settings training does not look at."""
        if self.settings.model.solved:
            return not_looked_at(self.data, self.settings)
        negatives = negatives_for(self.model, self.data, self.settings)
        return remarks(negatives, self.data)

    @property
    def _growth(self) -> GrowthSettings | None:
        return None if self.settings.model.solved else self.settings.training.growth

    def _share_of(self, epoch: int) -> float:
        return self._growth.at(epoch) if self._growth else 1.0

    def _new_engine(self) -> tuple[Engine, str]:
        """Return an engine for the model as it is, over the share of the data that is visited."""
        whole = self._share >= 1.0
        seed = self.settings.training.seed
        self._visited = self.data if whole else self.data.thinned(self._share, seed)
        return make_engine(self.model, self._visited, self.settings, threads=self._threads)

    def _renew_engine(self) -> None:
        """Let a new engine go on with the old one's state."""
        state = self._engine.state()
        self._engine, self.engine_reason = self._new_engine()
        self._engine.load_state(state)

    def _diverged(self, what: str, lr: float) -> DivergedError:
        """End the training; return the error that tells why."""
        self._done = True
        shape = self.settings.model
        rate = "" if shape.solved else f" at learning rate {lr:g}"
        return DivergedError(f"epoch {self.epoch}: {what}{rate}; {shape.if_diverged}")

    def _evaluate(self) -> dict[str, float]:
        training = self.settings.training
        found = evaluate_part(self.model, self.data, "val", training.top_k, training.metrics)
        self.last_metrics = dict(found.metrics)
        return self.last_metrics

    def _keep_if_best(self, value: float) -> bool:
        if self.best_value is not None and not value > self.best_value:
            return False
        self.best_value, self.best_epoch = value, self.epoch
        self._best = self.model.arrays()
        return True

    def _wait_for_more(self, value: float) -> None:
        if self._awaited is None or value > self._awaited:
            self._awaited, self._misses = value, 0
        else:
            self._misses += 1

    def best_model(self) -> Recommender:
        """Return a model with the best epoch's weights; this trainer goes on with its own."""
        best = build_model(self.settings.model, self.data, seed=self.settings.training.seed)
        best.load_arrays(self._best or self.model.arrays())
        return best

    def retune(self, optimizer: OptimizerSettings) -> None:
        """Go on with other optimizer settings; weights, optimizer and random state stay.

        Args:
            optimizer: Settings with the same update rule (`name`).

        Raises:
            ValueError: It has another update rule, whose state is another.
        """
        before = self.settings.optimizer.name
        if optimizer.name != before:
            raise ValueError(f"the update rule cannot change from {before} to {optimizer.name}")
        self.settings = self.settings.model_copy(update={"optimizer": optimizer})
        self._renew_engine()

    def save(self, folder: Path | str) -> None:
        """Write all it takes to go on: weights, best weights, optimizer, random state."""
        arrays = {f"model/{k}": v for k, v in self.model.arrays().items()}
        arrays |= {f"best/{k}": v for k, v in self._best.items()}
        arrays |= {f"engine/{k}": v for k, v in self._engine.state().items()}
        numbers = {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_value": self.best_value,
            "last_metrics": self.last_metrics,
            "misses": self._misses,
            "awaited": self._awaited,
            "done": self._done,
            "engine": self.engine_name,
        }
        checkpoint.write(Path(folder), arrays, numbers)

    def load(self, folder: Path | str) -> None:
        """Go on from what `save` wrote, in a trainer of the same data and settings.

        Raises:
            HbprError: The folder holds no whole checkpoint, or one of the other engine.
        """
        arrays, numbers = checkpoint.read(Path(folder))
        if numbers["engine"] != self.engine_name:
            raise HbprError(
                f"{folder}: the checkpoint is of the engine {numbers['engine']}, and this trainer "
                f"has {self.engine_name}; set training.engine to {numbers['engine']}"
            )
        self.model.load_arrays(_part(arrays, "model"))
        self._best = _part(arrays, "best")
        self._engine.load_state(_part(arrays, "engine"))
        self.epoch = numbers["epoch"]
        self.best_epoch = numbers["best_epoch"]
        self.best_value = numbers["best_value"]
        self.last_metrics = numbers["last_metrics"]
        self._misses = numbers["misses"]
        self._awaited = numbers.get("awaited", self.best_value)  # before: the best of all
        self._done = numbers["done"]


def _part(arrays: State, kind: str) -> State:
    return {k.removeprefix(f"{kind}/"): v for k, v in arrays.items() if k.startswith(f"{kind}/")}
