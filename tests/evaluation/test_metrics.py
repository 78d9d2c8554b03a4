import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from hbpr.data.interactions import UserItems
from hbpr.evaluation import Ranks, held_out_ranks
from hbpr.evaluation.metrics import auc, map_at_k, ndcg_at_k
from hbpr.names import METRICS


def all_metrics(scores, held_out, exclude, k):
    ranks = held_out_ranks(lambda users: scores[users], held_out, exclude)
    return ranks, {n: each(ranks, k) for n, each in METRICS.items() if each.of == "ranks"}


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("k", [1, 2, 5, 12, 100])
def test_equal_the_reference(case, ranks_of, metrics_of, levels, k):
    c = case(k, levels=levels)
    ranks, values = all_metrics(c.scores, c.held_out, c.exclude, k)
    for row, u in enumerate(ranks.users):
        for name, want in metrics_of(
            *ranks_of(c.scores[u], c.held_out.of(u), c.exclude.of(u)), k
        ).items():
            got = values[name][row]
            assert got == pytest.approx(want) if want is not None else np.isnan(got)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("levels", [None, 3])
def test_auc_equals_scikit_learn(case, seed, levels):
    c = case(seed, n_items=30, levels=levels)
    ranks, values = all_metrics(c.scores, c.held_out, c.exclude, 5)
    for row, u in enumerate(ranks.users):
        kept = np.setdiff1d(np.arange(30), c.exclude.of(u))
        truth = np.isin(kept, c.held_out.of(u))
        assert values["auc"][row] == pytest.approx(roc_auc_score(truth, c.scores[u, kept]))


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_ndcg_equals_scikit_learn(case, k):
    c = case(k, n_items=30)
    ranks, values = all_metrics(c.scores, c.held_out, c.exclude, k)
    for row, u in enumerate(ranks.users):
        kept = np.setdiff1d(np.arange(30), c.exclude.of(u))
        truth = np.isin(kept, c.held_out.of(u)).astype(float)
        want = ndcg_score(truth[None], c.scores[u, kept][None], k=k)
        assert values["ndcg"][row] == pytest.approx(want)


def test_known_answers():
    ranks = Ranks(np.array([0]), np.array([0, 3]), np.array([1.0, 3.0, 7.0]), np.array([10]))
    assert ndcg_at_k(ranks, 3)[0] == pytest.approx((1 + 0.5) / (1 + 1 / np.log2(3) + 0.5))
    assert map_at_k(ranks, 2)[0] == pytest.approx(1 / 2)
    assert map_at_k(ranks, 7)[0] == pytest.approx((1 + 2 / 3 + 3 / 7) / 3)
    assert auc(ranks)[0] == pytest.approx(1 - (0 + 1 + 4) / 21)


def test_constant_scores_order_nothing(case):
    c = case(0, levels=1)
    _, values = all_metrics(c.scores, c.held_out, c.exclude, 5)
    defined = values["auc"][~np.isnan(values["auc"])]
    assert len(defined) > 30
    np.testing.assert_allclose(defined, 0.5)


def test_auc_is_undefined_where_every_candidate_is_held_out():
    everything = UserItems.from_pairs([0, 0], [0, 1], n_users=1, n_items=2)
    _, values = all_metrics(np.zeros((1, 2)), everything, UserItems.empty(1, 2), 2)
    assert np.isnan(values["auc"][0])
    assert (values["ndcg"][0], values["map"][0]) == (1.0, 1.0)


cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "n_items": st.integers(2, 15),
        "levels": st.one_of(st.none(), st.integers(1, 6)),
    }
)
lengths = st.integers(1, 20)


@settings(max_examples=60)
@given(cases, lengths)
def test_values_lie_between_0_and_1(case, shape, k):
    c = case(**shape)
    _, values = all_metrics(c.scores, c.held_out, c.exclude, k)
    for name, value in values.items():
        value = value[~np.isnan(value)]
        assert ((value >= 0) & (value <= 1 + 1e-12)).all(), name


@settings(max_examples=60)
@given(cases, lengths)
def test_only_the_order_of_scores_counts(case, shape, k):
    c = case(**shape)
    _, values = all_metrics(c.scores, c.held_out, c.exclude, k)
    _, stretched = all_metrics(np.exp(c.scores) * 3 - 7, c.held_out, c.exclude, k)
    for name, value in values.items():
        np.testing.assert_array_equal(stretched[name], value)


@settings(max_examples=60)
@given(cases, lengths)
def test_the_order_of_the_catalogue_does_not_count(case, shape, k):
    c = case(**shape)
    order = np.random.default_rng(shape["seed"]).permutation(shape["n_items"])
    moved = [
        UserItems.from_pairs(p.users(), order[p.items], n_users=40, n_items=p.n_items)
        for p in (c.held_out, c.exclude)
    ]
    scores = np.empty_like(c.scores)
    scores[:, order] = c.scores
    _, values = all_metrics(c.scores, c.held_out, c.exclude, k)
    _, permuted = all_metrics(scores, *moved, k)
    for name, value in values.items():
        np.testing.assert_array_equal(permuted[name], value)


@settings(max_examples=60)
@given(cases, lengths)
def test_ranking_by_the_truth_gives_1(case, shape, k):
    c = case(**shape)
    truth = c.held_out.to_csr().toarray()
    ranks, values = all_metrics(truth, c.held_out, c.exclude, k)
    for name in ("ndcg", "map", "mrr", "hr"):
        np.testing.assert_allclose(values[name], 1.0, err_msg=name)
    np.testing.assert_allclose(values["precision"], np.minimum(ranks.n_held_out, k) / k)
    np.testing.assert_array_equal(np.nan_to_num(values["auc"], nan=1.0), 1.0)
