"""The engine of models that are solved for: an epoch is one pass."""

from typing import ClassVar

from hbpr.data.interactions import Interactions
from hbpr.models import SolvedRecommender
from hbpr.settings.models import TrialSettings
from hbpr.training.engine import Engine, State


class SolveEngine(Engine):
    """Solve; the model holds its interactions and its state itself.

    Args:
        model: Solved in place.
        threads: CPU threads.
    """

    name: ClassVar[str] = "solve"
    model: SolvedRecommender

    def __init__(self, model: SolvedRecommender, *, threads: int = 1) -> None:
        self.model = model
        self._threads = threads

    def train_epoch(self, lr: float) -> float:
        """Take one pass; there is no learning rate."""
        return self.model.solve(threads=self._threads)

    def state(self) -> State:
        """Nothing: the model's arrays are all."""
        return {}

    def load_state(self, state: State) -> None:
        """Go on from the model's arrays."""


def not_looked_at(data: Interactions, settings: TrialSettings) -> list[str]:
    """Say in words what a model that is solved for leaves aside of the settings and the data."""
    kind = settings.model.kind
    said = [
        f"model.kind {kind} is solved for: optimizer and the loss, negatives, engine, growth, "
        "n_iter and eval_every of training do not matter to it"
    ]
    n_observed = data.train_negatives.n_pairs
    aside = [f"{n_observed:,} observed negatives"] if n_observed else []
    if not (data.user_features.is_identity and data.item_features.is_identity):
        aside.append("features of users and items")
    if data.train.weights is not None and not settings.model.weighted:
        aside.append("weights of interactions")
    if aside:
        said.append(f"{data.name}: model.kind {kind} does not look at {', '.join(aside)}")
    return said
