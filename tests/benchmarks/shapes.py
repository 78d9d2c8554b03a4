"""The datasets of the benchmarks, written once as plain arrays that every side can read.

A file holds, for each of train, validation and test, ``PART_indptr`` and ``PART_items`` (CSR,
sorted within a user), ``n_items``, and for users and items the CSR features ``SIDE_indptr``,
``SIDE_indices``, ``SIDE_values`` and ``SIDE_n``.
"""

import os
from pathlib import Path

import numpy as np
from environments import HOME, ROOT

from hbpr.data.interactions import Features, Interactions, UserItems

#: The generated large shape: users, items, interactions.
LARGE = (138_000, 26_000, 11_000_000)
TINY = (60, 40, 600)
NAMES = ("tiny", "ml-100k", "ml-1m", "large")
PARTS = ("train", "validation", "test")


def prepare(name: str, *, features: bool = False) -> Path:
    """Write a dataset unless it is written already; return the file.

    Args:
        name: One of `NAMES`, or ``generated-U-I-N``.
        features: Features "both" of users and items (MovieLens only) instead of indicators.

    Raises:
        hbpr.errors.DatasetMissingError: A MovieLens dataset is not there and cannot be fetched.
    """
    path = HOME / "work" / f"{name}{'-features' if features else ''}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez(file, **_arrays(_load(name, features)))
        os.replace(partial, path)
    return path


def find_data_home() -> None:
    """Let hbpr read the datasets beside the checkout, unless a folder was named already."""
    default = ROOT.parent / "shared" / "data"
    if "HBPR_DATA_HOME" not in os.environ and default.is_dir():
        os.environ["HBPR_DATA_HOME"] = str(default)


def read(path: Path, *, held_out: bool = True) -> Interactions:
    """Read a file into what hbpr trains on; without held-out parts there is no evaluation."""
    with np.load(path, allow_pickle=False) as file:
        n_items = int(file["n_items"])
        train, validation, test = (
            UserItems(file[f"{part}_indptr"], file[f"{part}_items"], n_items) for part in PARTS
        )
        users, items = (
            Features(
                *(file[f"{side}_{key}"] for key in ("indptr", "indices", "values")),
                int(file[f"{side}_n"]),
            )
            for side in ("user", "item")
        )
    none = UserItems.empty(train.n_users, n_items)
    return Interactions(
        path.stem,
        train,
        validation if held_out else none,
        test if held_out else none,
        *(none, none, none),
        users,
        items,
        np.arange(train.n_users),
        np.arange(n_items),
    )


def long_tailed(n_users: int, n_items: int, n_pairs: int, *, seed: int = 0) -> UserItems:
    """Generate distinct pairs: log-normal activity, popularity near 1 / rank.

    The number of pairs is met to within the distinct ones that can be had.
    """
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(0.0, 1.0, n_users)
    popularity = rng.permutation(1.0 / (np.arange(n_items) + 0.02 * n_items))
    cumulative = np.cumsum(popularity / popularity.sum())
    pairs = UserItems.empty(n_users, n_items)
    for _ in range(20):
        missing = n_pairs - pairs.n_pairs
        if missing <= 0:
            break
        share = np.minimum(activity / activity.sum() * missing * 1.2, 0.5 * n_items)
        users = np.repeat(np.arange(n_users), rng.poisson(share))
        items = np.searchsorted(cumulative, rng.random(len(users)), "right")
        drawn = UserItems.from_pairs(
            users, np.minimum(items, n_items - 1), n_users=n_users, n_items=n_items
        )
        pairs = pairs.union(drawn)
    if pairs.n_pairs > n_pairs:
        keep = np.ones(pairs.n_pairs, bool)
        keep[rng.choice(pairs.n_pairs, pairs.n_pairs - n_pairs, replace=False)] = False
        pairs = pairs.select(keep)
    return pairs


def _load(name: str, features: bool) -> Interactions:
    if name.startswith("ml-"):
        from hbpr.data import load_data
        from hbpr.settings.models import DataSettings

        find_data_home()
        kind = "both" if features else "indicator"
        return load_data(DataSettings(name=name, item_feature=kind, user_feature=kind))
    if name.startswith("generated-"):
        n_users, n_items, n_pairs = map(int, name.split("-")[1:])
    else:
        n_users, n_items, n_pairs = {"tiny": TINY, "large": LARGE}[name]
    train = long_tailed(n_users, n_items, n_pairs)
    none = UserItems.empty(n_users, n_items)
    validation = test = none
    if name == "tiny":
        part = np.random.default_rng(1).random(train.n_pairs)
        validation, test = train.select(part < 0.1), train.select(part >= 0.9)
        train = train.select((part >= 0.1) & (part < 0.9))
    return Interactions(
        name,
        train,
        validation,
        test,
        *(none, none, none),
        Features.identity(n_users),
        Features.identity(n_items),
        np.arange(n_users),
        np.arange(n_items),
    )


def _arrays(data: Interactions) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {"n_items": np.int64(data.n_items)}
    for part in PARTS:
        pairs = getattr(data, part)
        arrays |= {f"{part}_indptr": pairs.indptr, f"{part}_items": pairs.items}
    for side in ("user", "item"):
        features = getattr(data, f"{side}_features")
        for key in ("indptr", "indices", "values"):
            arrays[f"{side}_{key}"] = getattr(features, key)
        arrays[f"{side}_n"] = np.int64(features.n_features)
    return arrays
