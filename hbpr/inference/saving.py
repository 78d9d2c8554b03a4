"""A trained system as a folder: ``arrays.npz`` and ``system.json``, nothing pickled.

The folder appears in one step and holds all it takes to go on elsewhere: weights, features, ids,
interactions, settings. ``system.json`` lists every array with its type and shape.
"""

import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hbpr.data.interactions import Exposures, Features, Interactions, Judged, UserItems
from hbpr.errors import DataError, FormatError
from hbpr.files import fresh_folder
from hbpr.models import Recommender, build_model
from hbpr.parts import only
from hbpr.settings.models import TrialSettings
from hbpr.settings.problems import describe
from hbpr.settings.stored import FORMAT, FORMAT_KEY, up_to_date

Arrays = dict[str, NDArray[Any]]

VERSION: Final = 1
_ARRAYS: Final = "arrays.npz"
_ABOUT: Final = "system.json"


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
    try:
        stored = up_to_date(about["settings"], TrialSettings, about.get(FORMAT_KEY))
        with only(allow):
            settings = TrialSettings.model_validate(stored)
        data = unpack(arrays, about["data"])
        model = build_model(settings.model, data, seed=settings.training.seed)
        model.load_arrays(_part(arrays, "model"))
        return Saved(model, data, settings, dict(about["metrics"]))
    except ValidationError as error:
        problems = describe(error, TrialSettings, lambda key: f"{folder}: settings.{key}")
        raise DataError(problems) from error
    except FormatError as error:
        raise DataError(f"{folder}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder}: the saved recommender is damaged: {error}") from error


def write_folder(folder: Path, arrays: Arrays, about: dict[str, Any]) -> None:
    """Write arrays and JSON into a new folder, or replace one that was written here.

    Raises:
        DataError: The folder holds something else.
        OSError: The disk is full or cannot be written; what was there before is left as it was.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if folder.is_file() or not names <= {_ARRAYS, _ABOUT}:
        raise DataError(f"{folder}: save needs a new folder, or a saved recommender to replace")
    with fresh_folder(folder) as fresh:
        with (fresh / _ARRAYS).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        listed = {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}
        text = json.dumps({"format": VERSION, **about, "arrays": listed}, indent=1)
        (fresh / _ABOUT).write_text(text, encoding="utf-8")


def user_id_type(folder: Path) -> np.dtype[Any]:
    """Return the type of the user ids of a saved recommender, without loading it."""
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    found: np.dtype[Any] = np.dtype(about["arrays"]["data/user_ids"][0])
    return found


def read_folder(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """Read what `write_folder` wrote.

    Raises:
        DataError: The folder holds no whole saved recommender, or one of another version.
    """
    try:
        about: dict[str, Any] = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        if about["format"] != VERSION:
            raise DataError(
                f"{folder}: this hbpr reads saved recommenders of format {VERSION}, got "
                f"{about['format']}; load it with the hbpr that saved it "
                f"({about.get('hbpr', 'unknown')})"
            )
        with np.load(folder / _ARRAYS, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        for name, (dtype, shape) in about["arrays"].items():
            found = arrays.get(name)
            if found is None or [found.dtype.str, list(found.shape)] != [dtype, shape]:
                raise DataError(f"{folder}: {_ARRAYS} has no array {name} of {dtype} {shape}")
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: no saved recommender here, {Path(error.filename).name} is missing"
        ) from error
    except DataError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder}: the saved recommender is damaged: {error}") from error
    return arrays, about


def pack(data: Interactions) -> tuple[Arrays, dict[str, Any]]:
    """Return a dataset as arrays and a JSON part, for `unpack`.

    Raises:
        DataError: Ids are not integers, floats or strings.
    """
    arrays: Arrays = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, UserItems | Features):
            parts = {f.name: getattr(value, f.name) for f in fields(value)}
            arrays |= {
                f"data/{field.name}/{name}": part
                for name, part in parts.items()
                if isinstance(part, np.ndarray)
            }
        if isinstance(value, Judged):
            place = f"data/{field.name}"
            arrays |= {f"{place}/indptr": value.pairs.indptr, f"{place}/items": value.pairs.items}
            arrays[f"{place}/liked"] = value.liked
            if value.pairs.weights is not None:
                arrays[f"{place}/weights"] = value.pairs.weights
    if data.trainable_items is not None:
        arrays["data/trainable_items"] = data.trainable_items
    if data.pages is not None:
        shown = data.pages.shown
        arrays |= {"data/pages/indptr": shown.indptr, "data/pages/items": shown.items}
        arrays["data/page_users"] = data.pages.users
    arrays["data/user_ids"] = _plain_ids(data.user_ids, "user")
    arrays["data/item_ids"] = _plain_ids(data.item_ids, "item")
    about = {
        "name": data.name,
        "split": data.split,
        "unseen": data.unseen,
        "n_user_features": data.user_features.n_features,
        "n_item_features": data.item_features.n_features,
        "user_feature_names": list(data.user_feature_names),
        "item_feature_names": list(data.item_feature_names),
    }
    return arrays, about


def unpack(arrays: Arrays, about: dict[str, Any]) -> Interactions:
    """Return the dataset that `pack` took apart.

    Raises:
        KeyError: Something is missing.
    """
    user_ids, item_ids = arrays["data/user_ids"], arrays["data/item_ids"]

    def pairs(part: str) -> UserItems:
        place = f"data/{part}"
        return UserItems(
            arrays[f"{place}/indptr"],
            arrays[f"{place}/items"],
            len(item_ids),
            arrays.get(f"{place}/weights"),
        )

    def optional(part: str) -> UserItems | None:
        return pairs(part) if f"data/{part}/indptr" in arrays else None

    def judged(part: str) -> Judged | None:
        found = optional(part)
        return None if found is None else Judged(found, arrays[f"data/{part}/liked"])

    def features(side: str) -> Features:
        place = f"data/{side}_features"
        return Features(
            arrays[f"{place}/indptr"],
            arrays[f"{place}/indices"],
            arrays[f"{place}/values"],
            about[f"n_{side}_features"],
        )

    pages = optional("pages")
    return Interactions(
        name=about["name"],
        train=pairs("train"),
        validation=pairs("validation"),
        test=pairs("test"),
        train_negatives=pairs("train_negatives"),
        validation_negatives=pairs("validation_negatives"),
        test_negatives=pairs("test_negatives"),
        user_features=features("user"),
        item_features=features("item"),
        user_ids=user_ids,
        item_ids=item_ids,
        user_feature_names=tuple(about["user_feature_names"]),
        item_feature_names=tuple(about["item_feature_names"]),
        split=about["split"],
        unseen=about.get("unseen", False),
        validation_candidates=optional("validation_candidates"),
        test_candidates=optional("test_candidates"),
        validation_judged=judged("validation_judged"),
        test_judged=judged("test_judged"),
        trainable_items=arrays.get("data/trainable_items"),
        pages=None if pages is None else Exposures(arrays["data/page_users"], pages),
    )


def _plain_ids(ids: NDArray[Any], side: str) -> NDArray[Any]:
    """Ids as an array that needs no pickle."""
    if ids.dtype.kind != "O":
        return ids
    odd = next((value for value in ids if not isinstance(value, str)), None)
    if odd is None:
        return ids.astype(np.str_)
    raise DataError(
        f"save: {side} ids must be integers, floats or strings, got {odd!r} "
        f"({type(odd).__name__}); build the data with such ids to save what is trained on them"
    )


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


def _part(arrays: Arrays, kind: str) -> Arrays:
    return {k.removeprefix(f"{kind}/"): v for k, v in arrays.items() if k.startswith(f"{kind}/")}


def _version() -> str:
    try:
        return version("hbpr")
    except PackageNotFoundError:  # a plain checkout, such as the working directory of a Ray job
        return "unknown"
