"""No held-out pair may be learnt from."""

from hbpr.data.interactions import Interactions, UserItems
from hbpr.errors import DataError


def check_leakage(data: Interactions) -> None:
    """Check that the parts are disjoint and that training meets nothing held out.

    - No pair of validation or test, positive or observed negative, is in train or its negatives.
    - No pair is in validation and in test.
    - Where items are held out as a whole, none of them is in train or its negatives.

    Raises:
        DataError: Something leaks; the message names the parts and how many pairs.
    """
    train = {"train": data.train, "train_negatives": data.train_negatives}
    validation = {
        "validation": data.validation,
        "validation_negatives": data.validation_negatives,
    }
    test = {"test": data.test, "test_negatives": data.test_negatives}
    for held, known in ((validation, train), (test, train | validation)):
        for held_name, held_pairs in held.items():
            for name, pairs in known.items():
                _refuse_common(data.name, held_name, held_pairs, name, pairs)
    if data.trainable_items is None:
        return
    for name, pairs in train.items():
        n_cold = int((~data.trainable_items[pairs.items]).sum())
        if n_cold:
            raise DataError(
                f"{data.name}: {n_cold} pairs of {name} are of items that are held out as a whole"
            )


def _refuse_common(
    name: str, held_name: str, held: UserItems, known_name: str, known: UserItems
) -> None:
    if not (held.n_pairs and known.n_pairs):
        return
    n_common = int(known.contains(held).sum())
    if n_common:
        raise DataError(
            f"{name}: {n_common} of {held.n_pairs} pairs of {held_name} are in {known_name} too; "
            "a pair belongs to one part only"
        )
