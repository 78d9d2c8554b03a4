"""Where a trained model is: a folder or a study, here or on an object store, or MLflow has it."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from hbpr.errors import ConfigError
from hbpr.inference.folder import ABOUT, checksum_of, read_about
from hbpr.places import Place, is_url

_URI: Final = re.compile(r"[a-z][a-z0-9+-]+:/")
#: URLs that MLflow alone can open.
_MLFLOW: Final = ("mlflow-artifacts:", "http:", "https:", "file:", "dbfs:", "hdfs:")
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")


class Located(NamedTuple):
    """A model's folder on this machine.

    Attributes:
        folder: The folder.
        version: Another text once another model is there.
    """

    folder: Path
    version: str


def is_in_mlflow(model: str) -> bool:
    """Return whether a model is named by an MLflow URI or by the id of a run."""
    return bool(_URI.match(model)) or (bool(_RUN_ID.fullmatch(model)) and not Path(model).is_dir())


def find_model(model: str, into: Path, tracking_uri: str | None = None) -> Located:
    """Find a model, and bring it to this machine if it is in MLflow.

    Args:
        model: A folder that `RecommendationSystem.save` wrote or a study's, each also by its URL in
            an object store, an MLflow URI
            (``models:/NAME@champion``, ``models:/NAME/VERSION``, ``runs:/RUN/recommender``), or
            the id of a run.
        into: Receives what is not on this machine.
        tracking_uri: MLflow; default: ``MLFLOW_TRACKING_URI``, else ``./mlflow.db``.

    Raises:
        ConfigError: There is no such folder, or it is a study without a model.
        DataError: The folder holds no recommender.
        TrackingError: MLflow has no such model, or does not answer.
    """
    stored = _stored(model)
    if stored is not None:
        for name in stored.names():
            (stored / name).download(into / "model" / name)
        return Located(into / "model", checksum_of(read_about(into / "model")))
    if is_in_mlflow(model):
        from hbpr.tracking.fetch import fetch_model

        return Located(*fetch_model(_uri(model), into, tracking_uri))
    folder = _folder(model)
    return Located(folder, checksum_of(read_about(folder)))


def version_of(model: str, tracking_uri: str | None = None) -> str:
    """Return the `Located.version` that `find_model` would find now; it fetches nothing.

    Raises:
        HbprError: As for `find_model`.
    """
    stored = _stored(model)
    if stored is not None:
        with TemporaryDirectory(prefix="hbpr-read-") as folder:
            (stored / ABOUT).download(Path(folder) / ABOUT)
            return checksum_of(read_about(Path(folder)))
    if is_in_mlflow(model):
        from hbpr.tracking.fetch import model_location

        return model_location(_uri(model), tracking_uri)
    return checksum_of(read_about(_folder(model)))


def _stored(model: str) -> Place | None:
    """Return the folder of a model in an object store; None for others, and for MLflow's own there.

    Raises:
        ConfigError: There is no model.
    """
    if not is_url(model) or model.startswith(_MLFLOW):
        return None
    place = Place.of(model)
    for folder in (place / "model", place):
        if (folder / ABOUT).exists():
            return folder
    if (place / "MLmodel").exists():
        return None
    raise ConfigError(
        f"{place.told}: there is no model. Give the URL of a study that has come to its result, "
        "STORAGE/EXPERIMENT/STUDY, or of a saved model"
    )


def _uri(model: str) -> str:
    return f"runs:/{model}" if _RUN_ID.fullmatch(model) else model


def _folder(model: str) -> Path:
    folder = Path(model)
    if not folder.is_dir():
        raise ConfigError(
            f"there is no folder {model!r}. Give the folder of a study or of a saved model, the id "
            "of a run, or a model in MLflow such as models:/NAME@champion"
        )
    if (folder / "model").is_dir():
        return folder / "model"
    if (folder / "journal.log").exists():
        raise ConfigError(
            f"{model}: this study has no model yet. Finish it with hbpr tune --resume"
        )
    return folder
