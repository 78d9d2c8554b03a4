"""From a dataset that is numbered back to what calls added, so that it can be added to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbpr.data.added import Added, Pairs, Shown, Side, Triples, is_own
from hbpr.data.assemble import Assembled
from hbpr.data.ids import Coded
from hbpr.data.interactions import Features


def restore(added: Added, whole: Assembled) -> None:
    """Add what a stored dataset holds."""
    users, items = Coded.of(whole.user_ids), Coded.of(whole.item_ids)
    for chunks, pairs, *values in (
        (
            added.positives,
            whole.positives,
            whole.positive_times,
            whole.positive_propensities,
        ),
        (
            added.negatives,
            whole.negatives,
            whole.negative_times,
            whole.negative_propensities,
        ),
        (added.test, whole.test),
        (added.candidates, whole.candidates),
    ):
        if pairs is not None and pairs.n_pairs:
            rows = users.rows(pairs.users()), items.rows(pairs.items)
            chunks.append(Pairs(*rows, pairs.weights, *values))
    if whole.pages is not None and whole.page_ids is not None:
        page, shown = whole.pages.shown.users(), whole.pages.shown.items
        rows = users.rows(whole.pages.users[page]), items.rows(shown)
        pages = Coded.of(whole.page_ids)
        added.check_kind("page", pages)
        added.shown.append(Shown(Pairs(*rows), pages.rows(page)))
    _features(added, "user", users, whole.user_features, whole.user_labels)
    _features(added, "item", items, whole.item_features, whole.item_labels)


def _features(
    added: Added, side: Side, ids: Coded, features: Features, groups: list[NDArray[Any]]
) -> None:
    if len(ids.ids):
        added.check_kind(side, ids)
    rows = np.repeat(np.arange(features.n_rows), np.diff(features.indptr))
    weighted = bool((features.values != 1.0).any())
    start = 0
    for labels in groups:
        column = features.indices - start
        mine = (column >= 0) & (column < len(labels))
        weights = features.values[mine] if weighted else None
        described, named = ids.rows(rows[mine]), Coded.of(labels).rows(column[mine])
        own = is_own(described, named)
        added.features[side].append(Triples(described, named, weights, own))
        start += len(labels)
