"""A trained system as a folder, which holds all it takes to go on elsewhere.

That is weights, features, ids, interactions and settings; `hbpr.inference.folder` has the files.
"""

from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from hbpr.data.interactions import Interactions
from hbpr.errors import DataError
from hbpr.inference.folder import Arrays, read_folder, write_folder
from hbpr.inference.packing import pack, part_of, reading, settings_of, unpack
from hbpr.models import Recommender, build_model
from hbpr.settings.models import TrialSettings
from hbpr.settings.stored import FORMAT, FORMAT_KEY


class Saved(NamedTuple):
    """What a folder holds; `hbpr.inference.system.RecommendationSystem` says what each is."""

    model: Recommender
    data: Interactions
    settings: TrialSettings
    metrics: Mapping[str, float]


def save(folder: Path, saved: Saved) -> None:
    """Write a system into a folder, all at once; one saved there before is replaced.

    The address of the MLflow server is not written: it may hold a password.

    Raises:
        DataError: Ids are not integers, floats or strings, the settings do not describe the
            model, or the folder holds something else.
    """
    arrays, about = pack(saved.data)
    weights = saved.model.arrays()
    _check_rebuilds(weights, saved)
    write_folder(
        folder,
        arrays | {f"model/{name}": weight for name, weight in weights.items()},
        {
            "hbpr": _version(),
            FORMAT_KEY: FORMAT,
            "settings": saved.settings.model_dump(
                mode="json", exclude={"mlflow": {"tracking_uri"}}
            ),
            "metrics": dict(saved.metrics),
            "data": about,
        },
    )


def load(folder: Path, *, allow: Collection[str] = ()) -> Saved:
    """Read what `save` wrote.

    Args:
        folder: Where it was written.
        allow: Parts that are not hbpr's own, such as the class of the model, that may be imported:
            dotted paths, or modules.

    Raises:
        DataError: The folder holds no whole saved recommender, or one of another version.
    """
    arrays, about = read_folder(folder)
    with reading(folder):
        settings = settings_of(about, allow)
        data = unpack(arrays, about["data"])
        model = build_model(settings.model, data, seed=settings.training.seed)
        model.load_arrays(part_of(arrays, "model"))
        return Saved(model, data, settings, dict(about["metrics"]))


def _check_rebuilds(weights: Arrays, saved: Saved) -> None:
    """Refuse to write what `load` could not put together."""
    settings = saved.settings
    built = build_model(settings.model, saved.data, seed=settings.training.seed)
    expected = {name: array.shape for name, array in built.arrays().items()}
    found = {name: array.shape for name, array in weights.items()}
    if expected != found:
        raise DataError(
            "save: the settings must describe the model; model settings "
            f"{settings.model.model_dump()} make {expected}, the model has {found}"
        )


def _version() -> str:
    try:
        return version("hbpr")
    except PackageNotFoundError:  # a plain checkout, such as the working directory of a Ray job
        return "unknown"
