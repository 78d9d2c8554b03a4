"""From numbered interactions and a split to train, validation and test, and what they rank among.

Candidates say what a held-out item is ranked among, beside the user's other held-out items:

- ``all``: the whole catalogue, without what the user is known to have chosen.
- ``unseen``: the whole catalogue, without what the user is known to have seen, chosen or not, as a
  product would show it: observed negatives of earlier parts are no candidates either.
- ``observed``: the negatives that were held out with it, so the AUC is that inside what was seen.
- ``fixed``: published lists for test; for validation as many random items a user, outside of the
  user's train and validation items. What is in test is not looked at, so it may be among them.
"""

import logging
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.data.assemble import Assembled
from hbpr.data.interactions import Interactions, UserItems
from hbpr.data.leakage import check_leakage
from hbpr.data.propensity import judged_parts
from hbpr.data.split import SPLITS
from hbpr.errors import DataError
from hbpr.names import FEW_USERS
from hbpr.settings.models import Candidates, SplitSettings

_log = logging.getLogger(__name__)

#: How a split holds out more, where shares do not say it.
_MORE: Final = {
    "leave_one_out": "Leave one out needs users with two interactions, and three for validation: "
    "add interactions, or use another data.split.kind",
    "fixed": "The test part is published; raise data.split.validation, or add interactions",
}


def to_interactions(
    name: str, whole: Assembled, split: SplitSettings, candidates: Candidates
) -> Interactions:
    """Part a dataset and check that nothing leaks.

    Raises:
        DataError: There is no positive interaction, or the data lack what the split or the
            candidates need.
    """
    if whole.positives.n_pairs == 0:
        raise DataError(
            f"{name}: no positive interactions, so nothing to learn from "
            f"({whole.negatives.n_pairs} negative ones). Add some, or lower the threshold "
            "that makes a positive."
        )
    parts = SPLITS[split.kind](name, whole, split)
    lists: tuple[UserItems | None, UserItems | None] = (None, None)
    told = parts.text
    if candidates == "observed":
        lists = (parts.negatives[1], parts.negatives[2])
        told += "; candidates: observed negatives"
    elif candidates == "unseen":
        told += "; candidates: unseen"
    elif candidates == "fixed":
        lists = _fixed(name, whole, parts.positives, split.seed)
        told += "; candidates: fixed lists, random ones of the same length for validation"
    train, validation, test = parts.positives
    validation_judged, test_judged = judged_parts(name, whole, parts, split, candidates)
    data = Interactions(
        name,
        train,
        validation,
        test,
        *parts.negatives,
        user_features=whole.user_features,
        item_features=whole.item_features,
        user_ids=whole.user_ids,
        item_ids=whole.item_ids,
        user_feature_names=_names(whole.user_labels),
        item_feature_names=_names(whole.item_labels),
        split=told,
        validation_candidates=lists[0],
        test_candidates=lists[1],
        trainable_items=parts.trainable_items,
        pages=whole.pages,
        unseen=candidates == "unseen",
        validation_judged=validation_judged,
        test_judged=test_judged,
    )
    check_leakage(data)
    _check_held_out(data, split)
    return data


def _check_held_out(data: Interactions, split: SplitSettings) -> None:
    """Say before training what metrics will be worth."""
    more = _MORE.get(split.kind, "Raise the part's share in data.split, or add interactions")
    asked = split.validation > 0 or split.kind == "leave_one_out"
    for what, part, wanted in (
        ("validation", data.validation, asked),
        ("test", data.test, True),
    ):
        held_out = part.counts > 0
        n_users = int(held_out.sum())
        if not n_users:
            if wanted:
                _log.warning(
                    "%s: nothing is held out for %s: the %d users have %d positives, and the split "
                    "(%s) leaves none; there will be no metrics of this part. %s",
                    *(data.name, what, data.n_users, data.train.n_pairs, data.split, more),
                )
            continue
        n_alone = int((held_out & ~_opposed(data, what)).sum())
        if n_alone == n_users:
            _log.warning("%s", _none_opposed(data, what))
            continue
        if n_alone:
            _log.warning(
                "%s: %d of %d users with an item in the %s part have no other candidate to rank it "
                "among, so they are in no mean",
                *(data.name, n_alone, n_users, what),
            )
        if n_users < FEW_USERS:
            _log.warning(
                "%s: only %d %s an item in the %s part: its metrics are means over them "
                "and differ by chance. %s",
                *(data.name, n_users, "user has" if n_users == 1 else "users have", what, more),
            )


def check_ranked(data: Interactions, *parts: str) -> None:
    """Refuse data whose held-out parts cannot be evaluated, before anything is trained on them.

    Args:
        data: The data.
        *parts: validation or test; an empty one is let through.

    Raises:
        DataError: Nobody with an item in a part has another candidate.
    """
    for what in parts:
        part = data.test if what == "test" else data.validation
        if part.n_pairs and not can_be_ranked(data, what):
            raise DataError(_none_opposed(data, what))


def can_be_ranked(data: Interactions, what: str) -> bool:
    """Whether somebody with an item in validation or test has another candidate."""
    part = data.test if what == "test" else data.validation
    return bool(((part.counts > 0) & _opposed(data, what)).any())


def _opposed(data: Interactions, what: str) -> NDArray[np.bool_]:
    """(U,) whether a user has a candidate beside what is held out."""
    if what == "test":
        part, lists, left_out = data.test, data.test_candidates, data.no_candidates("test")
    else:
        part, lists, left_out = (
            data.validation,
            data.validation_candidates,
            data.no_candidates("val"),
        )
    if lists is None:
        return np.asarray(data.n_items - left_out.counts > part.counts)
    return np.asarray(lists.counts > 0)


def _none_opposed(data: Interactions, what: str) -> str:
    part = data.test if what == "test" else data.validation
    lists = data.test_candidates if what == "test" else data.validation_candidates
    n_users = int((part.counts > 0).sum())
    who = (
        "the only user with an item in the {} part has no other candidate to rank it among"
        if n_users == 1
        else f"none of the {n_users} users with an item in the {{}} part has another candidate to "
        "rank it among"
    ).format(what)
    if lists is not None:
        return (
            f"{data.name}: {who}, so it cannot be evaluated. Use data.candidates: all, or data "
            "with observed negatives in this part"
        )
    them = "the user" if n_users == 1 else "each"
    return (
        f"{data.name}: {who}: {them} chose all {data.n_items} items, so it cannot be evaluated. "
        "Add items that they did not choose"
    )


def draw_outside(known: UserItems, counts: np.ndarray, rng: np.random.Generator) -> UserItems:
    """Draw distinct items for each user, uniformly from those that are not known.

    Args:
        known: (U, I) pairs that are not drawn.
        counts: (U,) items to draw; a user with fewer left gets them all.
        rng: Source of all randomness.
    """
    free = known.n_items - known.counts
    counts = np.minimum(counts, free)
    # Places among the free items: drawn with repeats, and drawn again until enough are distinct.
    found = UserItems.empty(known.n_users, known.n_items)
    while (missing := counts - found.counts).any():
        users = np.repeat(np.arange(known.n_users), missing)
        places = (rng.random(len(users)) * free[users]).astype(np.int64)
        drawn = UserItems.from_pairs(users, places, n_users=known.n_users, n_items=known.n_items)
        found = found.union(drawn)
    # The p-th free item is p + (known items before it): known[j] - j of them are free before it.
    row = known.users().astype(np.int64)
    before = known.items - (np.arange(known.n_pairs) - known.indptr[row])
    users = found.users().astype(np.int64)
    at = np.searchsorted(
        row * known.n_items + before, users * known.n_items + found.items, side="right"
    )
    items = found.items + (at - known.indptr[users])
    return UserItems(found.indptr, items.astype(np.int32), known.n_items)


def _fixed(
    name: str, whole: Assembled, positives: tuple[UserItems, UserItems, UserItems], seed: int
) -> tuple[UserItems, UserItems]:
    if whole.candidates is None:
        raise DataError(
            f"{name}: data.candidates: fixed lists are asked for and the data have none; use "
            "UserItemData.add_test_candidates, or candidates all, unseen or observed"
        )
    train, validation, _ = positives
    counts = np.where(validation.counts > 0, whole.candidates.counts, 0)
    rng = np.random.default_rng([seed, 2])
    return draw_outside(train.union(validation), counts, rng), whole.candidates


def _names(labels: list[np.ndarray]) -> tuple[str, ...]:
    return tuple(str(label) for group in labels for label in group.tolist())
