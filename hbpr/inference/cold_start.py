"""Users and items that training never met, described by the features that it did meet."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hbpr.data.ids import encode
from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.errors import DataError
from hbpr.words import near_words

#: Features of one user or item: their names, or names with weights.
Labels = Iterable[Any] | Mapping[Any, float]


def features_of(place: str, rows: Sequence[Labels], names: Sequence[str]) -> Features:
    """Turn named features into rows that fit a trained model.

    Args:
        place: What is described, for messages.
        rows: Features of each row; without weights each weighs 1, a repeated one counts once.
        names: (n_features,) names of the features that the model knows.

    Raises:
        DataError: A row is empty or one text, a name is unknown, a weight is not finite, or the
            data have no names.
    """
    if not names:
        raise DataError(
            f"{place}: this model was trained without named features, so nothing but its id tells "
            "one from another; train with metadata (data.user_feature, data.item_feature)"
        )
    columns = {name: column for column, name in enumerate(names)}
    indptr, indices, values = [0], list[int](), list[float]()
    for labels in rows:
        if isinstance(labels, str | bytes):
            raise DataError(f"{place}: features must be a list of names, got {labels!r}")
        weights = labels if isinstance(labels, Mapping) else dict.fromkeys(labels, 1.0)
        if not weights:
            raise DataError(f"{place}: at least one feature is needed, got none")
        entries = {}
        for label, weight in weights.items():
            column = columns.get(str(label))
            if column is None:
                near = near_words(label, names)
                hint = f"did you mean {near[0]!r}?" if near else f"names look like {names[-1]!r}"
                raise DataError(f"{place}: {label!r} is not a feature of the data; {hint}")
            if not np.isfinite(weight):
                raise DataError(f"{place}: the weight of {label!r} must be finite, got {weight}")
            entries[column] = float(weight)
        for column in sorted(entries):
            indices.append(column)
            values.append(entries[column])
        indptr.append(len(indices))
    return Features(
        np.asarray(indptr, np.int64),
        np.asarray(indices, np.int32),
        np.asarray(values, np.float32),
        len(names),
    )


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
    )
