"""What a trainer hands out after every epoch."""

from dataclasses import dataclass

from hbpr import names


@dataclass(frozen=True)
class EpochReport:
    """One epoch of training.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Mean loss of a training positive with its negatives.
        metrics: Validation metrics by full name; empty on epochs without an evaluation.
        n_positives: Training positives visited.
        train_s: Seconds spent training this epoch.
        eval_s: Seconds spent evaluating it.
        best_epoch: Best epoch so far, 0 before the first evaluation.
        best_value: Value of the monitored metric there, None before the first evaluation.
        is_best: Whether this epoch is the best so far.
        done: Whether training ends here.
        data_share: Share of each user's training positives that it visited, where it grows; None:
            all of them.
        stopped_early: Whether it ends because the monitored metric no longer rose.
    """

    epoch: int
    loss: float
    metrics: dict[str, float]
    n_positives: int
    train_s: float
    eval_s: float
    best_epoch: int
    best_value: float | None
    is_best: bool
    done: bool
    stopped_early: bool
    data_share: float | None = None

    def as_result(self) -> dict[str, float]:
        """Values worth recording, by metric name."""
        return {
            names.LOSS: self.loss,
            names.TRAIN_S: self.train_s,
            names.EVAL_S: self.eval_s,
            **({names.DATA_SHARE: self.data_share} if self.data_share is not None else {}),
            **self.metrics,
        }
