"""Choosing the engine: the fastest that covers the settings, and the reason in words."""

from hbpr.data.interactions import Interactions
from hbpr.errors import EngineError
from hbpr.models import MatrixFactorization, Recommender
from hbpr.settings.models import TrialSettings
from hbpr.training.autograd import AutogradEngine
from hbpr.training.engine import Engine
from hbpr.training.fused import FusedEngine, why_not_fused


def make_engine(
    model: Recommender, data: Interactions, settings: TrialSettings, *, threads: int = 1
) -> tuple[Engine, str]:
    """Build the engine that the settings ask for.

    Args:
        model: Trained in place.
        data: Its training part is read.
        settings: ``training.engine`` decides; ``auto`` takes the fastest that fits.
        threads: CPU threads that the fused engine may use.

    Returns:
        The engine, and one sentence that says why it is this one.

    Raises:
        EngineError: ``fused`` is asked for and does not cover the settings.
    """
    asked = settings.training.engine
    gap = why_not_fused(model, settings)
    if asked == "fused" and gap is not None:
        raise EngineError(
            f"training.engine: fused does not cover these settings: {gap}. "
            "Change it, or set training.engine to auto or autograd."
        )
    if asked == "autograd" or gap is not None:
        reason = "it was asked for" if asked == "autograd" else f"fused does not fit: {gap}"
        return AutogradEngine(model, data, settings.optimizer, settings.training), reason
    assert isinstance(model, MatrixFactorization)
    reason = "it was asked for" if asked == "fused" else "the fastest that covers the settings"
    engine = FusedEngine(model, data, settings.optimizer, settings.training, threads=threads)
    return engine, reason
