"""Metrics of the recommended lists that do not ask what the user chose.

Each takes `hbpr.evaluation.recommended.Recommended` and k. Shapes: (n,) float64 values of the users
where a list has one of its own, or one value of all lists together.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from hbpr.errors import DataError
from hbpr.evaluation.metrics.sums import PerUser
from hbpr.evaluation.recommended import Recommended

#: Lists whose features are summed at a time.
_LISTS = 4096


def coverage_at_k(found: Recommended, k: int) -> float:
    """Share of the catalogue that is on at least one list; from 1 / I to 1.

    Source:
        Ge, Delgado-Battenfeld & Jannach, RecSys 2010, doi:10.1145/1864708.1864761.
    """
    return float(np.count_nonzero(_exposure(found, k))) / found.n_items


def gini_at_k(found: Recommended, k: int) -> float:
    """Gini index of how often each item of the catalogue is listed.

    0: all equally often; 1: one item alone. With exposures ``x_1 <= ... <= x_I`` it is
    ``sum((2 j - I - 1) x_j) / ((I - 1) sum(x))``; a catalogue of one item has 0.

    Source:
        Shani & Gunawardana, Recommender Systems Handbook, 2011, section 8.3.3,
        doi:10.1007/978-0-387-85820-3_8. Variants that divide by I give (I - 1) / I of it.
    """
    exposure = np.sort(_exposure(found, k)).astype(np.float64)
    n = found.n_items
    if n == 1:
        return 0.0
    weights = 2.0 * np.arange(1, n + 1) - n - 1.0
    return float(weights @ exposure) / ((n - 1) * float(exposure.sum()))


def novelty_at_k(found: Recommended, k: int) -> PerUser:
    """Mean self-information of a user's listed items in bits: ``log2(U / users of the item)``.

    U are the users of the training part. An item that nobody has there counts like one that a
    single user has, so a list reaches log2(U) at most.

    Source:
        Zhou et al., PNAS 107(10), 2010, doi:10.1073/pnas.1000488107 ("surprisal").
    """
    information = np.log2(max(found.n_learners, 1) / np.maximum(found.popularity, 1))
    return _mean_of_listed(found, k, information)


def arp_at_k(found: Recommended, k: int) -> PerUser:
    """Average recommendation popularity: mean over a user's list of the item's training users.

    Source:
        Yin et al., PVLDB 5(9), 2012, doi:10.14778/2311906.2311916.
    """
    return _mean_of_listed(found, k, found.popularity.astype(np.float64))


def diversity_at_k(found: Recommended, k: int) -> PerUser:
    """Intra-list diversity: 1 - mean cosine over all pairs of a user's list.

    Cosines are of the features that describe the items, an item's own left out. An item without
    any is like no other one; a list of one item has 0.

    Raises:
        DataError: Nothing describes the items.

    Source:
        Ziegler et al., WWW 2005, doi:10.1145/1060745.1060754, as the complement of its
        intra-list similarity averaged over pairs.
    """
    if found.described is None:
        raise DataError("evaluation: diversity needs features that describe items")
    items = found.first(k)
    squares = np.asarray(found.described.multiply(found.described).sum(axis=1)).ravel()
    values = np.empty(len(items))
    for start in range(0, len(items), _LISTS):
        part = items[start : start + _LISTS]
        listed = part >= 0
        counts = listed.sum(axis=1)
        rows = np.repeat(np.arange(len(part)), counts)
        chosen = sp.csr_matrix(
            (np.ones(len(rows)), (rows, part[listed])), shape=(len(part), found.n_items)
        )
        sums = sp.csr_matrix(chosen @ found.described)
        whole = np.asarray(sums.multiply(sums).sum(axis=1)).ravel()
        pairs = np.maximum(counts * (counts - 1), 1)
        mean = (whole - chosen @ squares) / pairs  # over ordered pairs
        values[start : start + len(part)] = np.where(counts > 1, 1.0 - mean, 0.0)
    return values


def _exposure(found: Recommended, k: int) -> NDArray[np.int64]:
    """(I,) on how many lists each item is."""
    items = found.first(k)
    return np.bincount(items[items >= 0], minlength=found.n_items)


def _mean_of_listed(found: Recommended, k: int, values: NDArray[np.float64]) -> PerUser:
    """(n,) mean of (I,) values over each user's list."""
    items = found.first(k)
    listed = items >= 0
    total = np.where(listed, values[np.maximum(items, 0)], 0.0).sum(axis=1)
    mean: PerUser = total / np.maximum(listed.sum(axis=1), 1)
    return mean
