"""The parts and features of hybrid-bpr's cold-start comparison, which no setting of hbpr names."""

import dataclasses

import numpy as np

from hbpr.data.interactions import Features, Interactions


def hold_out_rarest(data: Interactions, *, share: float, seed: int) -> Interactions:
    """Part a dataset anew, so that the items with the fewest interactions are never trained on.

    All that is known of the rarest items is held out, a random half of them for validation and
    the others for test; the rest is for training. As in the comparison, random negatives are drawn
    from the whole catalogue, so a held-out item can be drawn as a negative.

    Args:
        data: A split dataset; its parts are put together again.
        share: Share of the items that is held out, between 0 and 1.
        seed: Of the order among equally rare items, and of the halves.

    Source:
        ``UserItemData.split_train_test_cold`` in https://github.com/NatLabRockies/hybrid-bpr, which
        puts all rarest items in test and has no validation part.
    """
    positives = data.train.union(data.validation).union(data.test)
    negatives = data.train_negatives.union(data.validation_negatives).union(data.test_negatives)
    known = np.concatenate([positives.items, negatives.items])
    rng = np.random.default_rng([seed, 0])
    order = np.lexsort((rng.random(data.n_items), np.bincount(known, minlength=data.n_items)))
    cold = rng.permutation(order[: max(2, round(share * data.n_items))])
    group = np.zeros(data.n_items, np.int8)
    group[cold] = 2
    group[cold[: len(cold) // 2]] = 1
    train, validation, test = (positives.select(group[positives.items] == k) for k in range(3))
    others = [negatives.select(group[negatives.items] == k) for k in range(3)]
    return dataclasses.replace(
        data,
        train=train,
        validation=validation,
        test=test,
        train_negatives=others[0],
        validation_negatives=others[1],
        test_negatives=others[2],
        split=f"rarest {share:.3g} of the items cold, half of them validation, seed {seed}",
    )


def keep_item_features(data: Interactions, prefix: str) -> Interactions:
    """Return the data with those item features alone whose names begin with `prefix`.

    An item that has none of them is described by nothing: its score is 0.
    """
    names = data.item_feature_names
    kept = [column for column, name in enumerate(names) if name.startswith(prefix)]
    return dataclasses.replace(
        data,
        item_features=Features.from_csr(data.item_features.to_csr()[:, kept]),
        item_feature_names=tuple(names[column] for column in kept),
    )
