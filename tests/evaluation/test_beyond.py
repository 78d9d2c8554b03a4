"""Metrics of recommended lists against plain Python, scipy and scikit-learn."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from hbpr.baselines import Popularity
from hbpr.data import UserItemData, load_data
from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation import Beyond, Recommended, evaluate, evaluate_part
from hbpr.evaluation.best import best_of_rows
from hbpr.names import METRICS
from hbpr.settings.models import DataSettings

NAMES = ("coverage", "novelty", "diversity", "arp", "gini")
K = 4


def lists_of(case):
    """Every user's whole ranking in plain Python, of users who have a non-held-out candidate."""
    found = {}
    for user in np.flatnonzero(case.held_out.counts):
        held, seen = set(case.held_out.of(user)), set(case.exclude.of(user))
        items = [i for i in range(case.held_out.n_items) if i in held or i not in seen]
        if len(items) > len(held):
            found[int(user)] = sorted(items, key=lambda i, u=user: (-case.scores[u, i], i))
    return found


def oracle(lists, train, features, k):
    """The five metrics as their formulas read."""
    heads = [items[:k] for items in lists.values()]
    n_items, held = train.n_items, train.to_csr().toarray() > 0
    users_of, n_users = held.sum(axis=0), int(held.any(axis=1).sum())
    shown = [sum(i in head for head in heads) for i in range(n_items)]
    # Gini as the mean absolute difference of all pairs, another form of the same index.
    differences = sum(abs(a - b) for a in shown for b in shown)
    dense = features.toarray()
    within = []
    for head in heads:
        distances = pdist(dense[head], "cosine") if len(head) > 1 else np.zeros(1)
        within.append(np.nan_to_num(distances, nan=1.0).mean())
    return {
        "coverage": len({i for head in heads for i in head}) / n_items,
        "gini": differences / (2 * n_items * sum(shown)) * n_items / (n_items - 1),
        "novelty": np.mean(
            [np.mean([-math.log2(max(users_of[i], 1) / n_users) for i in head]) for head in heads]
        ),
        "arp": np.mean([np.mean([users_of[i] for i in head]) for head in heads]),
        "diversity": np.mean(within),
    }


def beyond_of(train, features):
    lengths = np.sqrt((features.toarray() ** 2).sum(axis=1, keepdims=True))
    unit = features.toarray() / np.where(lengths > 0, lengths, 1.0)
    return Beyond(NAMES, train, sp.csr_matrix(unit))


def surroundings(seed, n_users, n_items):
    rng = np.random.default_rng(seed)
    train = UserItems.from_pairs(
        *np.nonzero(rng.random((n_users, n_items)) < rng.random(n_items)),
        n_users=n_users,
        n_items=n_items,
    )
    features = sp.random_array(
        (n_items, 7), density=0.4, rng=rng, data_sampler=lambda size: rng.normal(size=size)
    )
    return train, sp.csr_matrix(features)


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("seed", range(4))
def test_all_are_their_formulas(case, table, seed, levels):
    c = case(seed, levels=levels)
    train, features = surroundings(seed, *c.scores.shape)
    found = evaluate(
        table(c.scores),
        c.held_out,
        exclude=c.exclude,
        top_k=(1, K, 50),
        part="val",
        beyond=beyond_of(train, features),
    )
    lists = lists_of(c)
    for k in (1, K, 50):
        for name, value in oracle(lists, train, features, k).items():
            assert found.metrics[f"val/{name}_at_{k}"] == pytest.approx(value, abs=1e-12), name
    assert found.recommended is not None
    for row, items in zip(found.recommended.items, lists.values(), strict=True):
        assert row[row >= 0].tolist() == items[:50]


@pytest.mark.parametrize("seed", range(3))
def test_lists_of_listed_candidates_hold_nothing_else(case, table, seed):
    c = case(seed)
    train, features = surroundings(seed, *c.scores.shape)
    rng = np.random.default_rng(seed)
    listed = UserItems.from_pairs(
        *np.nonzero(rng.random(c.scores.shape) < 0.5),
        n_users=c.scores.shape[0],
        n_items=c.scores.shape[1],
    )
    ask = {"top_k": (K,), "part": "val", "beyond": beyond_of(train, features)}
    found = evaluate(table(c.scores), c.held_out, exclude=c.exclude, candidates=listed, **ask)
    # The same among all, where whatever is not listed is excluded.
    everything = UserItems.from_pairs(
        *np.nonzero(np.ones(c.scores.shape)),
        n_users=c.scores.shape[0],
        n_items=c.scores.shape[1],
    )
    hidden = everything.select(~listed.contains(everything)).union(c.exclude)
    same = evaluate(table(c.scores), c.held_out, exclude=hidden, **ask)
    assert found.metrics == pytest.approx(same.metrics, abs=1e-12)
    assert found.recommended.items.tolist() == same.recommended.items.tolist()


@given(
    scores=st.lists(
        st.one_of(
            st.integers(-3, 3).map(float), st.just(math.nan), st.just(-math.inf), st.just(math.inf)
        ),
        min_size=1,
        max_size=300,
    ),
    k=st.integers(1, 70),
)
@settings(deadline=None)
def test_the_best_of_a_row_are_those_of_a_stable_sort(scores, k):
    block = np.array([scores], np.float32)
    found = np.empty((1, k), np.int32)
    best_of_rows(block, found)
    known = [i for i in range(len(scores)) if not math.isnan(scores[i])]
    expected = sorted(known, key=lambda i: (-scores[i], i))[:k]
    assert found[0].tolist() == expected + [-1] * (k - len(expected))


@st.composite
def recommended(draw):
    n_items = draw(st.integers(1, 12))
    k = draw(st.integers(1, n_items))
    n_lists = draw(st.integers(1, 8))
    lists = [draw(st.permutations(range(n_items)))[:k] for _ in range(n_lists)]
    popularity = draw(st.lists(st.integers(0, 9), min_size=n_items, max_size=n_items))
    dense = np.array(
        draw(
            st.lists(
                st.lists(st.integers(0, 2), min_size=3, max_size=3),
                min_size=n_items,
                max_size=n_items,
            )
        ),
        float,
    )
    lengths = np.sqrt((dense**2).sum(axis=1, keepdims=True))
    unit = sp.csr_matrix(dense / np.where(lengths > 0, lengths, 1.0))
    return Recommended(np.array(lists, np.int32), np.array(popularity), 9, unit)


def values(found, k):
    return {name: float(np.mean(METRICS[name](found, k))) for name in NAMES}


@given(found=recommended())
@settings(deadline=None)
def test_values_stay_in_their_ranges(found):
    k = found.items.shape[1]
    got = values(found, k)
    assert k / found.n_items <= got["coverage"] <= 1.0
    assert -1e-12 <= got["gini"] <= 1.0 + 1e-12
    assert 0.0 <= got["novelty"] <= math.log2(9) + 1e-12
    assert 0 <= got["arp"] <= found.popularity.max()
    assert -1e-12 <= got["diversity"] <= 1.0 + 1e-12  # no weight is negative here


@given(found=recommended(), seed=st.integers(0, 99))
@settings(deadline=None)
def test_the_order_of_users_and_inside_a_list_and_the_numbers_of_items_do_not_matter(found, seed):
    rng = np.random.default_rng(seed)
    k, n = found.items.shape[1], found.n_items
    renamed = rng.permutation(n).astype(np.int32)  # item i is now renamed[i]
    back = np.argsort(renamed)
    items = rng.permuted(renamed[found.items[rng.permutation(len(found.items))]], axis=1)
    described = found.described[back]
    other = Recommended(items, found.popularity[back], found.n_learners, described)
    assert values(other, k) == pytest.approx(values(found, k), abs=1e-9)


@given(found=recommended())
@settings(deadline=None)
def test_doubling_every_list_changes_nothing(found):
    k = found.items.shape[1]
    twice = Recommended(
        np.concatenate([found.items] * 2), found.popularity, found.n_learners, found.described
    )
    assert values(twice, k) == pytest.approx(values(found, k), abs=1e-9)


def plain(items, popularity=None, described=None):
    items = np.array(items, np.int32)
    n = int(items.max()) + 1 if popularity is None else len(popularity)
    popularity = np.ones(n, np.int64) if popularity is None else np.array(popularity)
    return Recommended(items, popularity, 4, described)


class TestExtremes:
    def test_a_catalogue_of_one_item(self):
        found = plain([[0], [0]], [4], sp.csr_matrix([[1.0]]))
        assert values(found, 1) == {
            "coverage": 1.0,
            "novelty": 0.0,
            "diversity": 0.0,
            "arp": 4.0,
            "gini": 0.0,
        }

    def test_one_item_for_everybody_is_all_of_gini(self):
        found = plain([[3]] * 5, [1, 1, 1, 1, 1])
        assert METRICS["gini"](found, 1) == pytest.approx(1.0)
        assert METRICS["coverage"](found, 1) == 0.2

    def test_the_same_list_for_everybody(self):
        found = plain([[0, 1]] * 3, [4, 2, 1, 1])
        assert METRICS["coverage"](found, 2) == 0.5
        assert METRICS["gini"](found, 2) == pytest.approx(2 / 3)
        assert METRICS["novelty"](found, 2).tolist() == [0.5] * 3  # 0 and 1 bit

    def test_every_item_equally_often(self):
        found = plain([[0], [1], [2], [3]])
        assert METRICS["gini"](found, 1) == pytest.approx(0.0)
        assert METRICS["coverage"](found, 1) == 1.0

    def test_an_item_that_nobody_has_is_as_new_as_one_of_a_single_user(self):
        assert METRICS["novelty"](plain([[0, 1]], [0, 1]), 2).tolist() == [2.0]

    def test_alike_and_unlike_items(self):
        described = sp.csr_matrix([[1.0, 0], [1.0, 0], [0, 1.0], [0, 0], [-1.0, 0]])
        lists = [[0, 1], [0, 2], [0, 3], [0, 4]]
        found = plain(lists, [1] * 5, described)
        assert METRICS["diversity"](found, 2).tolist() == [0.0, 1.0, 1.0, 2.0]
        assert METRICS["diversity"](found, 1).tolist() == [0.0] * 4


@pytest.fixture(scope="module")
def films():
    data = UserItemData("films")
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 20)) < 0.4)
    data.add_positive_interactions(users, items)
    data.add_item_features(range(20), range(20))
    kinds = [f"kind {i % 3}" for i in range(20)]
    data.add_item_features(range(20), kinds)
    return data.to_interactions(), kinds


class TestOfAPart:
    def test_diversity_leaves_out_what_only_the_item_itself_has(self, films):
        data, kinds = films
        found = evaluate_part(Popularity(data.train), data, "val", [5], ["diversity"])
        within = [
            np.mean([kinds[a] != kinds[b] for a in head for b in head if a != b])
            for head in found.recommended.items.tolist()
        ]
        assert found.metrics["val/diversity_at_5"] == pytest.approx(np.mean(within))

    def test_a_baseline_by_popularity_is_the_most_popular_there_is(self, films):
        data, _ = films
        by_popularity = evaluate_part(Popularity(data.train), data, "test", [5], NAMES).metrics

        class Upside(Popularity):
            def block_scorer(self):
                scores = super().block_scorer()
                return lambda users: -scores(users)

        by_rarity = evaluate_part(Upside(data.train), data, "test", [5], NAMES).metrics
        assert by_popularity["test/arp_at_5"] > by_rarity["test/arp_at_5"]
        assert by_popularity["test/novelty_at_5"] < by_rarity["test/novelty_at_5"]

    def test_nothing_else_changes_and_nothing_is_added_unasked(self, films):
        data, _ = films
        plain = evaluate_part(Popularity(data.train), data, "val", [3, 5])
        more = evaluate_part(Popularity(data.train), data, "val", [3, 5], NAMES)
        assert not [n for n in plain.metrics if n.split("/")[1].split("_at_")[0] in NAMES]
        assert plain.recommended is None
        assert plain.metrics == {name: more.metrics[name] for name in plain.metrics}
        assert len(more.metrics) == len(plain.metrics) + 2 * len(NAMES)

    def test_diversity_without_descriptions_is_refused(self):
        data = load_data(DataSettings(source="synthetic"))
        with pytest.raises(DataError, match=r"diversity compares items .* data\.item_feature"):
            evaluate_part(Popularity(data.train), data, "val", [5], ["diversity"])

    def test_an_unknown_name_is_refused(self, films):
        data, _ = films
        with pytest.raises(ConfigError, match=r"got 'novlty'\. Did you mean novelty"):
            evaluate_part(Popularity(data.train), data, "val", [5], ["novlty"])


def test_cosines_are_those_of_scikit_learn(case, table):
    pairwise = pytest.importorskip("sklearn.metrics.pairwise", reason="needs scikit-learn")
    c = case(1)
    train, features = surroundings(1, *c.scores.shape)
    found = evaluate(
        table(c.scores),
        c.held_out,
        exclude=c.exclude,
        top_k=(K,),
        part="val",
        beyond=beyond_of(train, features),
    )
    cosines = pairwise.cosine_similarity(features)
    expected = []
    for items in lists_of(c).values():
        inside = cosines[np.ix_(items[:K], items[:K])]
        n = len(inside)
        pairs = inside[~np.eye(n, dtype=bool)]
        expected.append(1.0 - pairs.mean() if n > 1 else 0.0)
    assert found.metrics[f"val/diversity_at_{K}"] == pytest.approx(np.mean(expected))
