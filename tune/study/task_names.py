"""What Ray's dashboard calls the tasks of a trial."""

from typing import Any

from ray import tune as ray_tune


class NameTasks(ray_tune.Callback):
    """Names the training tasks of a trial after study and trial.

    An actor runs many trials, one after another, so its own name cannot say which; each of its
    tasks does.

    Args:
        study_id: The study's.
    """

    def __init__(self, study_id: str) -> None:
        self._study_id = study_id

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Give the trial's actor handle a training method that carries the name."""
        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        vars(actor).pop("train", None)  # that of the trial before
        actor.train = actor.train.options(name=f"{trial} of {self._study_id}")
