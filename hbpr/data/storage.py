"""A dataset in one file: an npz archive of plain arrays with a JSON text inside, never a pickle."""

import json
import zipfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbpr.data.assemble import Assembled
from hbpr.data.interactions import Exposures, Features, UserItems
from hbpr.errors import DataError, DatasetMissingError
from hbpr.files import fresh_file
from hbpr.settings.models import SplitSettings, WeightTransform

_FORMAT: Final = "hbpr.user_item/1"


class Stored(NamedTuple):
    """A dataset: its name, what was added, and what was chosen for it.

    `weighing` are the arguments of `UserItemData.transform_weights`; `whole` holds the weights as
    they were added. `item_names` are what people call items, by id.
    """

    name: str
    whole: Assembled
    split: SplitSettings | None
    weighing: tuple[WeightTransform, float | None]
    item_names: Mapping[Any, str]


def write(path: Path, stored: Stored) -> None:
    """Write a dataset; the file appears, or is replaced, only once it is complete.

    Raises:
        DataError: Ids or feature labels are not integers, strings or floats.
    """
    name, whole, split, weighing, item_names = stored
    named = _names(whole)
    for what, array in named.items():
        if array.dtype.kind == "O":
            raise DataError(
                f"{name}: save: {what} must be integers, strings or floats, "
                f"got {type(array[0]).__name__} ({array[0]!r}). Convert them first."
            )
    about = {
        "format": _FORMAT,
        "name": name,
        "split": None if split is None else split.model_dump(),
        "weights": weighing,
        "n_user_labels": len(whole.user_labels),
        "n_item_labels": len(whole.item_labels),
        "item_names": [item_names.get(item, "") for item in whole.item_ids.tolist()]
        if item_names
        else [],
    }
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with fresh_file(path) as partial, partial.open("wb") as file:
        np.savez(file, about=text, **named, **_numbers(whole))


def _names(whole: Assembled) -> dict[str, Any]:
    """Return the ids and the labels of features: what may be of a kind that npz has not."""
    arrays: dict[str, Any] = {"user_ids": whole.user_ids, "item_ids": whole.item_ids}
    if whole.page_ids is not None:
        arrays["page_ids"] = whole.page_ids
    for side, labels in (("user", whole.user_labels), ("item", whole.item_labels)):
        arrays |= {f"{side}_labels_{k}": group for k, group in enumerate(labels)}
    return arrays


def _numbers(whole: Assembled) -> dict[str, Any]:
    """Return all other arrays."""
    arrays: dict[str, Any] = {}
    for part, pairs in (("positives", whole.positives), ("negatives", whole.negatives)):
        arrays |= {f"{part}_indptr": pairs.indptr, f"{part}_items": pairs.items}
        if pairs.weights is not None:
            arrays[f"{part}_weights"] = pairs.weights
    for sign, what in product(("positive", "negative"), ("times", "propensities")):
        values = getattr(whole, f"{sign}_{what}")
        if values is not None:
            arrays[f"{sign}_{what}"] = values
    for part, given in (("test", whole.test), ("candidates", whole.candidates)):
        if given is not None:
            arrays |= {f"{part}_indptr": given.indptr, f"{part}_items": given.items}
    if whole.pages is not None:
        shown = whole.pages.shown
        arrays |= {"page_users": whole.pages.users, "pages_indptr": shown.indptr}
        arrays["pages_items"] = shown.items
    for side, features in (("user", whole.user_features), ("item", whole.item_features)):
        arrays |= {
            f"{side}_features_indptr": features.indptr,
            f"{side}_features_indices": features.indices,
            f"{side}_features_values": features.values,
        }
    return arrays


def read(path: Path) -> Stored:
    """Read what `write` wrote.

    Raises:
        DatasetMissingError: There is no such file.
        DataError: The file is not such a dataset, or is broken.
    """
    if not path.is_file():
        raise DatasetMissingError(f"{path}: no such file. UserItemData.save writes one.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(archive["about"].tobytes())
            if about["format"] != _FORMAT:
                raise DataError(f"{path}: expected format {_FORMAT!r}, got {about['format']!r}")
            users, items = archive["user_ids"], archive["item_ids"]
            shape = (len(users), len(items))
            labels = {
                side: [archive[f"{side}_labels_{k}"] for k in range(about[f"n_{side}_labels"])]
                for side in ("user", "item")
            }
            whole = Assembled(
                users,
                items,
                _pairs(archive, "positives", shape),
                _pairs(archive, "negatives", shape),
                _features(archive, "user", shape[0], labels["user"]),
                _features(archive, "item", shape[1], labels["item"]),
                labels["user"],
                labels["item"],
                archive.get("positive_times"),
                archive.get("negative_times"),
                _pairs(archive, "test", shape) if "test_items" in archive else None,
                _pairs(archive, "candidates", shape) if "candidates_items" in archive else None,
                _pages(archive, shape) if "pages_items" in archive else None,
                archive.get("page_ids"),
                archive.get("positive_propensities"),
                archive.get("negative_propensities"),
            )
            for sign, what in product(("positive", "negative"), ("times", "propensities")):
                values = getattr(whole, f"{sign}_{what}")
                if values is not None and len(values) != getattr(whole, f"{sign}s").n_pairs:
                    raise ValueError(f"{sign}_{what}: not one for each pair")
            split = about["split"]
            how, cap = about.get("weights", ("none", None))  # before: there was no transform
            return Stored(
                str(about["name"]),
                whole,
                None if split is None else SplitSettings.model_validate(split),
                (how, cap),
                {
                    item: str(called)
                    for item, called in zip(
                        items.tolist(), about.get("item_names") or [""] * len(items), strict=True
                    )
                    if called
                },
            )
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: not a dataset written by UserItemData.save: {error}") from error


def _pairs(archive: Any, part: str, shape: tuple[int, int]) -> UserItems:
    weights = archive.get(f"{part}_weights")
    indptr, items = archive[f"{part}_indptr"], archive[f"{part}_items"]
    _check(part, indptr, items, shape)
    return UserItems(indptr, items, shape[1], weights)


def _pages(archive: Any, shape: tuple[int, int]) -> Exposures:
    users = archive["page_users"]
    if len(users) != len(archive["page_ids"]):
        raise ValueError("page_users: not one for each page")
    if len(users) and not 0 <= users.min() <= users.max() < shape[0]:
        raise ValueError(f"page_users: an index is outside of 0..{shape[0] - 1}")
    return Exposures(users, _pairs(archive, "pages", (len(users), shape[1])))


def _features(archive: Any, side: str, n_rows: int, labels: list[NDArray[Any]]) -> Features:
    indptr = archive[f"{side}_features_indptr"]
    indices = archive[f"{side}_features_indices"]
    width = sum(map(len, labels)) if labels else n_rows
    _check(f"{side}_features", indptr, indices, (n_rows, width))
    return Features(indptr, indices, archive[f"{side}_features_values"], width)


def _check(what: str, indptr: NDArray[Any], indices: NDArray[Any], shape: tuple[int, int]) -> None:
    whole = len(indptr) == shape[0] + 1 and indptr[0] == 0 and indptr[-1] == len(indices)
    if not whole or (np.diff(indptr) < 0).any():
        raise ValueError(f"{what}: the row ends do not fit")
    if len(indices) and not 0 <= indices.min() <= indices.max() < shape[1]:
        raise ValueError(f"{what}: an index is outside of 0..{shape[1] - 1}")
