"""What a trained model answers: lists, neighbours, and who and what is new."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hbpr.inference.loaded import LoadedModel

__all__ = ["load"]


def load(
    model: str | Path, *, tracking_uri: str | None = None, allow: Collection[str] = ()
) -> "LoadedModel":
    """Load a trained model to recommend with, by whatever name it has.

    Factorizations and item-to-item models need no torch. Nothing that a model's files say runs code
    on loading; a model whose class is not part of hbpr is refused unless its module is allowed.

    Args:
        model: ``models:/NAME@champion`` or another MLflow URI, the id of a run, the folder of a
            study, or a folder that `RecommendationSystem.save` wrote.
        tracking_uri: MLflow; default: ``MLFLOW_TRACKING_URI``, else ``./mlflow.db``.
        allow: Modules that classes of models may be imported from.

    Raises:
        ConfigError: There is no such folder, or a class is not allowed.
        DataError: The folder holds no whole recommender, or one of a later version.
        TrackingError: MLflow has no such model, or does not answer.
    """
    import tempfile

    from hbpr.inference.loaded import LoadedModel
    from hbpr.inference.locate import find_model

    with tempfile.TemporaryDirectory(prefix="hbpr-model-") as temporary:
        located = find_model(str(model), Path(temporary), tracking_uri)
        return LoadedModel.read(located.folder, allow=allow)
