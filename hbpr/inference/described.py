"""Users and items that training never met, by the features that it did meet."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hbpr.data.interactions import Features
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
