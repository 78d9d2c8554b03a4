"""Users and items that training never met, described by the features that it did meet."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbpr.data.ids import encode
from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.errors import DataError
from hbpr.inference.described import Labels, features_of


def with_items(data: Interactions, items: Mapping[Any, Labels]) -> Interactions:
    """Return the data with more items at the end of the catalogue, which nobody has met yet.

    They are no trainable items: training again on the result draws them as negatives no more than
    it did before.

    Args:
        data: The data a model was trained on.
        items: Features of each new item, by its id.

    Raises:
        DataError: An id is there already or of another type, or as for `features_of`.
    """
    coded = encode(list(items), "with_items: items")
    if coded is None:
        return data
    known = encode(data.item_ids, "with_items: items")
    if known is not None and coded.kind != known.kind:
        raise DataError(
            f"with_items: ids must be of the type of those in the data ({known.kind}), "
            f"got {coded.ids[:1].tolist()[0]!r}"
        )
    there = set(data.item_ids.tolist()).intersection(coded.ids.tolist())
    if there:
        raise DataError(f"with_items: item {min(there, key=str)!r} is in the data already")
    old = data.item_features
    new = features_of("with_items", list(items.values()), data.item_feature_names)
    features = Features(
        np.concatenate([old.indptr, old.indptr[-1] + new.indptr[1:]]),
        np.concatenate([old.indices, new.indices]),
        np.concatenate([old.values, new.values]),
        old.n_features,
    )
    n_items = data.n_items + len(items)
    wider: dict[str, Any] = {
        field.name: dataclasses.replace(part, n_items=n_items)
        for field in dataclasses.fields(data)
        if isinstance(part := getattr(data, field.name), UserItems)
    }
    if data.pages is not None:
        shown = dataclasses.replace(data.pages.shown, n_items=n_items)
        wider["pages"] = dataclasses.replace(data.pages, shown=shown)
    for name in ("validation_judged", "test_judged"):
        if (judged := getattr(data, name)) is not None:
            pairs = dataclasses.replace(judged.pairs, n_items=n_items)
            wider[name] = dataclasses.replace(judged, pairs=pairs)
    trained = np.ones(data.n_items, bool) if data.trainable_items is None else data.trainable_items
    return dataclasses.replace(
        data,
        **wider,
        item_features=features,
        trainable_items=np.concatenate([trained, np.zeros(len(items), bool)]),
        item_ids=np.concatenate([data.item_ids, coded.ids.astype(data.item_ids.dtype.kind)]),
        item_names=(*data.item_names, *map(str, items)) if data.item_names else (),
    )
