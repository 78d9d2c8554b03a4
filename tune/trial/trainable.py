"""One trial: the trainer of `hbpr`, one evaluation period a step.

The actor that runs it is kept warm and takes the next trial, whatever its settings. A trial keeps
its own checkpoints in the study's storage, a few seconds of work apart, so that a trial that is
started again, by Ray after a fault or by a resumed study, goes on from there.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune as ray_tune

from hbpr.data.interactions import Interactions
from hbpr.errors import HbprError
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.training.trainer import Trainer
from tune.storage.checkpoints import trial_folder
from tune.storage.kept import Checkpoints
from tune.trial.costs import measure_costs
from tune.trial.data import data_key, data_of
from tune.trial.messages import NUMBER, PARENT, VALUES, Result, evaluated, failed
from tune.trial.parts import Travelling

logger = logging.getLogger(__name__)

#: Seconds of work that a fault may cost; a shorter trial writes no checkpoint at all.
CHECKPOINT_EVERY_S = 10.0


@dataclass(frozen=True)
class TrialContext:
    """What all trials of a study share.

    Attributes:
        base: Settings that a trial's values are laid over.
        data: Reference to the data of each `data_key`; the key "" serves every setting.
        threads: Threads of a trial.
        checkpoints: Where trials keep what they go on from.
        costs: Of `hbpr.names.COSTS`, those that a trial measures.
        pause_every: Epochs, a multiple of the evaluation period, after which every trial has a
            checkpoint, since a scheduler may pause or copy it there; 0: never.
        evaluate_at: Further epochs to evaluate, at which a scheduler decides.
        searched: Values that a trial's settings may have.
    """

    base: TrialSettings
    data: Mapping[str, "ray.ObjectRef[Interactions]"]
    threads: int
    checkpoints: Checkpoints
    costs: tuple[str, ...] = ()
    pause_every: int = 0
    evaluate_at: tuple[int, ...] = ()
    searched: tuple[Any, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        """Let the parts that settings name travel with them; Tune packs what it has unpacked."""
        return {**vars(self), "base": Travelling(self.base, self.searched)}


class HbprTrainable(ray_tune.Trainable):
    """A trial of a study; its config is ``{"trial": number, "values": {dotted key: value}}``.

    A copy has ``"parent"`` beside them; the parent's checkpoint lies where its own would.
    """

    context: TrialContext

    @classmethod
    def of(cls, context: TrialContext, name: str) -> type["HbprTrainable"]:
        """Return the trainable of one study; Ray calls its actors by the name."""
        return type(name, (cls,), {"context": context})

    def __repr__(self) -> str:
        """Return what Ray shows beside the name: an actor takes further trials after its first."""
        return f"from {self._first} on"

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare the actor and its first trial."""
        torch.set_num_threads(self.context.threads)
        self._loaded: dict[str, Interactions] = {}
        self._first = trial_folder(Path(), int(config[NUMBER])).name
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial; nothing of the last one is left but the data."""
        self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._number = int(config[NUMBER])
        self._trainer: Trainer | None = None
        self._failure: HbprError | None = None
        self._ended = False
        self._again: Result | None = None
        self._saved_epoch = 0
        self._costs: dict[str, float] = {}
        self._saved_at = time.monotonic()
        try:
            settings = with_values(self.context.base, config[VALUES])
            data = self._data(settings)
            self._trainer = Trainer(
                data,
                settings,
                threads=self.context.threads,
                evaluate_at=self.context.evaluate_at,
            )
            if self.context.checkpoints.load(self._number, self._trainer.load):
                self._saved_epoch = self._trainer.epoch
                if self._pauses() and config.get(PARENT, {}).get("epoch") != self._saved_epoch:
                    self._again = self._known()
        except HbprError as error:
            self._failure = error

    def _data(self, settings: TrialSettings) -> Interactions:
        key = data_key(settings.data)
        if key not in self._loaded:
            self._loaded[key] = ray.get(data_of(settings, self.context.data))
        return self._loaded[key]

    def step(self) -> Result:
        """Train up to the next evaluation and report it.

        A trial that goes on from where a scheduler may have paused it says first what it said
        there: a scheduler of a resumed study may not have it.

        Returns:
            The metrics of the evaluation and the costs, as `tune.trial.messages.evaluated` puts
            them together. Where the trial cannot go on, for instance because it diverged: why.
        """
        if self._again is not None:
            known, self._again = self._again, None
            return known
        if self._failure is None:
            try:
                return self._period()
            except HbprError as error:
                self._failure = error
        logger.warning("trial %d failed", self._number, exc_info=self._failure)
        self._ended = True
        epoch = 0 if self._trainer is None else self._trainer.epoch
        return failed(f"{type(self._failure).__name__}: {self._failure}", epoch)

    def _period(self) -> Result:
        assert self._trainer is not None
        train_s = eval_s = 0.0
        n_triples = 0
        for report in self._trainer:
            train_s += report.train_s
            eval_s += report.eval_s
            n_triples += report.n_positives
            if report.metrics or report.done:
                break
        else:
            raise AssertionError("a trial was stepped after its end")
        self._ended = report.done
        if self.context.costs and not self._costs:
            self._costs = measure_costs(self._trainer.best_model(), self.context.costs)
        late = time.monotonic() - self._saved_at >= CHECKPOINT_EVERY_S
        if not report.done and (late or self._pauses()):
            self._save()
        return evaluated(
            {**report.as_result(), **self._costs},
            report.epoch,
            (report.best_value, report.best_epoch),
            finished=report.done,
            n_triples=n_triples,
            train_s=train_s,
            eval_s=eval_s,
        )

    def _pauses(self) -> bool:
        """Whether a scheduler may pause the trial at this epoch."""
        every = self.context.pause_every
        return every > 0 and self._trainer is not None and self._trainer.epoch % every == 0

    def _known(self) -> Result:
        """Return the last report once more, without the time that it took."""
        trainer = self._trainer
        assert trainer is not None
        return evaluated(
            trainer.last_metrics, trainer.epoch, (trainer.best_value, trainer.best_epoch)
        )

    def _save(self) -> None:
        """Write a checkpoint that is either whole or not there, and drop the one before."""
        assert self._trainer is not None
        self.context.checkpoints.save(self._number, self._trainer.epoch, self._trainer.save)
        self._saved_epoch = self._trainer.epoch
        self._saved_at = time.monotonic()

    def cleanup(self) -> None:
        """Keep the work of a trial that is stopped in the middle: the study may be resumed."""
        if self._trainer is None or self._ended:
            return
        if self._trainer.epoch > self._saved_epoch:  # else another actor may be further by now
            try:
                self._save()
            except HbprError as error:
                logger.warning("trial %d loses its last steps: %s", self._number, error)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the trial's state for a scheduler that pauses or copies trials."""
        assert self._trainer is not None
        self._trainer.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from a folder that `save_checkpoint` wrote."""
        assert self._trainer is not None
        self._trainer.load(Path(checkpoint))
