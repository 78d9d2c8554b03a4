"""A dataset as named arrays and a JSON part, for `hbpr.inference.folder`, and back."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hbpr.data.interactions import Exposures, Features, Interactions, Judged, UserItems
from hbpr.errors import ConfigError, DataError, FormatError
from hbpr.inference.folder import read_folder
from hbpr.parts import only
from hbpr.settings.models import TrialSettings
from hbpr.settings.problems import describe
from hbpr.settings.stored import FORMAT_KEY, up_to_date

Arrays = Mapping[str, NDArray[Any]]


def pack(data: Interactions) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return a dataset as arrays and a JSON part, for `unpack`.

    Raises:
        DataError: Ids are not integers, floats or strings.
    """
    arrays: dict[str, NDArray[Any]] = {}
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
        "item_names": list(data.item_names),
    }
    return arrays, about


def unpack(arrays: Arrays, about: dict[str, Any]) -> Interactions:
    """Return the dataset that `pack` took apart.

    Raises:
        KeyError: Something is missing.
    """
    user_ids, item_ids = arrays["data/user_ids"], arrays["data/item_ids"]

    def pairs(part: str, n_rows: int | None = len(user_ids)) -> UserItems:
        place = f"data/{part}"
        indptr, items = arrays[f"{place}/indptr"], arrays[f"{place}/items"]
        _check_rows(place, indptr, items, n_rows, len(item_ids))
        return UserItems(indptr, items, len(item_ids), arrays.get(f"{place}/weights"))

    def optional(part: str) -> UserItems | None:
        n_rows = None if part == "pages" else len(user_ids)
        return pairs(part, n_rows) if f"data/{part}/indptr" in arrays else None

    def judged(part: str) -> Judged | None:
        found = optional(part)
        return None if found is None else Judged(found, arrays[f"data/{part}/liked"])

    def features(side: str) -> Features:
        place = f"data/{side}_features"
        indptr, indices = arrays[f"{place}/indptr"], arrays[f"{place}/indices"]
        n_rows = len(user_ids if side == "user" else item_ids)
        _check_rows(place, indptr, indices, n_rows, about[f"n_{side}_features"])
        return Features(indptr, indices, arrays[f"{place}/values"], about[f"n_{side}_features"])

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
        item_names=tuple(about.get("item_names", ())),
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


def settings_of(about: Mapping[str, Any], allow: Collection[str] = ()) -> TrialSettings:
    """Return the settings of a folder's JSON part, in today's form.

    Args:
        about: The JSON part.
        allow: Parts that are not hbpr's own and may be imported: dotted paths, or modules.

    Raises:
        ValidationError: They are none.
        FormatError: They are of a format that is not known here.
    """
    with only(allow):  # bringing settings up to date looks kinds up, too
        stored = up_to_date(about["settings"], TrialSettings, about.get(FORMAT_KEY))
        return TrialSettings.model_validate(stored)


def check_folder(folder: Path, *, allow: Collection[str] = ()) -> None:
    """Refuse a folder that cannot be loaded with what is allowed; the arrays are not read.

    Raises:
        DataError: The folder holds no whole saved recommender, one of another version, or one whose
            class is not allowed.
    """
    _, about = read_folder(folder)
    with reading(folder):
        settings_of(about, allow)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Tell what goes wrong in reading a folder's content as a `DataError` that names it."""
    try:
        yield
    except ValidationError as error:
        problems = describe(error, TrialSettings, lambda key: f"{folder}: settings.{key}")
        raise DataError(problems) from error
    except (FormatError, ConfigError) as error:
        raise DataError(f"{folder}: {error}") from error
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise DataError(f"{folder}: the saved recommender is damaged: {error}") from error


def _check_rows(
    what: str, indptr: NDArray[Any], columns: NDArray[Any], n_rows: int | None, n_columns: int
) -> None:
    """Refuse rows that reach beyond their arrays: compiled loops would read what is not theirs."""
    fit = len(indptr) > 0 and indptr[0] == 0 and indptr[-1] == len(columns)
    if not fit or (n_rows is not None and len(indptr) != n_rows + 1) or (np.diff(indptr) < 0).any():
        raise ValueError(f"{what}: the ends of the rows do not fit")
    if len(columns) and not 0 <= columns.min() <= columns.max() < n_columns:
        raise ValueError(f"{what}: an index is outside of 0..{n_columns - 1}")


def part_of(arrays: Arrays, kind: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with ``kind/``, by what follows."""
    start = f"{kind}/"
    return {name.removeprefix(start): arrays[name] for name in arrays if name.startswith(start)}
