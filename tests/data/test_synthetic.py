import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import ndcg_score

from hbpr.data import generate, load_data
from hbpr.data.synthetic import N_GENRES, N_GROUPS
from hbpr.settings.models import DataSettings, SyntheticSettings


def ndcg_at_10(scores, data):
    """Mean NDCG@10 on test by scikit-learn, training items left out by putting them last."""
    truth = data.test.to_csr().toarray()
    some = truth.any(axis=1)
    scores = scores.astype(float)
    scores[data.train.to_csr().toarray() > 0] = scores.min() - 1
    return ndcg_score(truth[some], scores[some], k=10)


def test_shape_of_the_defaults():
    made = generate()
    data = made.data
    assert (data.n_users, data.n_items) == (600, 300)
    assert data.n_positives + data.n_negatives == made.shown.n_pairs
    assert made.shown.n_pairs / 600 == pytest.approx(100, rel=0.02)
    assert made.shown_probability.sum() == pytest.approx(100)


def test_the_seed_alone_decides():
    settings = DataSettings(source="synthetic", item_feature="both", user_feature="both")
    assert load_data(settings).fingerprint == load_data(settings).fingerprint
    other = settings.model_copy(update={"synthetic": SyntheticSettings(seed=1)})
    assert load_data(settings).fingerprint != load_data(other).fingerprint


def test_the_order_of_parts_by_what_they_know():
    """Ranking by the truth beats noisy truth, which beats popularity, which beats chance."""
    made = generate()
    data = made.data.to_interactions()
    users = np.arange(600)
    rng = np.random.default_rng(0)
    oracle = made.oracle().block_scorer()(users)
    popularity = np.tile(np.bincount(data.train.items, minlength=300), (600, 1))
    best = ndcg_at_10(oracle, data)
    assert ndcg_at_10(made.oracle(data.train_negatives).block_scorer()(users), data) > best
    assert best > ndcg_at_10(oracle * rng.lognormal(0, 1, oracle.shape), data) + 0.03
    assert best > 2 * ndcg_at_10(popularity, data)
    assert ndcg_at_10(popularity, data) > 1.5 * ndcg_at_10(rng.random(oracle.shape), data)


@pytest.mark.parametrize("noise", [0.0, 0.3, 2.0])
def test_the_oracle_tells_true_probabilities(noise):
    made = generate(SyntheticSettings(n_users=4000, n_items=40, n_shown=20, noise=noise))
    scorer = made.oracle().block_scorer()
    told = scorer(np.arange(4000))
    assert told.dtype == np.float32
    chosen = made.data.assemble().positives.to_csr().toarray()
    for low, high in ((0.0, 0.01), (0.01, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 1.0)):
        inside = (told > low) & (told <= high)
        if inside.sum() > 2000:
            expected = told[inside].mean()
            error = 5 * np.sqrt(expected / inside.sum())
            assert chosen[inside].mean() == pytest.approx(expected, abs=error)
    if noise == 0.0:
        margin = made.user_factors @ made.item_factors.T - made.thresholds[:, None]
        assert not chosen[margin < -1e-4].any()


def test_the_oracle_scores_any_users_in_any_order():
    made = generate(SyntheticSettings(n_users=30, n_items=20, n_shown=8))
    known = made.data.to_interactions().train_negatives
    score = made.oracle(known).block_scorer()
    whole = score(np.arange(30))
    assert np.allclose(score(np.array([7, 3])), whole[[7, 3]])
    assert (whole[known.users(), known.items] == 0).all()
    margin = made.user_factors[5] @ made.item_factors.T - made.thresholds[5]
    plain = made.oracle().block_scorer()(np.array([5]))[0]
    assert np.allclose(plain, ndtr(margin / made.noise) * made.shown_probability, atol=1e-5)


def test_every_item_is_shown_as_often_as_it_should():
    made = generate(SyntheticSettings(n_users=20_000, n_items=50, n_shown=10))
    shares = np.bincount(made.shown.items, minlength=50) / 20_000
    assert shares == pytest.approx(made.shown_probability, abs=0.02)
    assert made.shown_probability.max() > 3 * made.shown_probability.min()


@pytest.mark.parametrize("choice", ["indicator", "metadata", "both"])
def test_features_are_what_was_asked_for(choice):
    made = generate(item_feature=choice, user_feature=choice)
    data = made.data.to_interactions()
    genres = data.item_features.to_csr()[:, -N_GENRES:].toarray()
    groups = data.user_features.to_csr()[:, -N_GROUPS:].toarray()
    if choice == "indicator":
        assert data.item_features.is_identity
        assert data.user_features.is_identity
        return
    assert data.item_feature_names[-1] == "genre=11"
    assert data.user_feature_names[-1] == "group=07"
    assert set(genres.sum(axis=1)) == {1, 2}
    assert set(groups.sum(axis=1)) == {1}
    own = 300 if choice == "both" else 0
    assert data.item_features.n_features == own + N_GENRES


def test_metadata_carries_part_of_the_preference():
    made = generate(SyntheticSettings(n_users=2000, n_items=1000, n_shown=50))
    data = generate(
        SyntheticSettings(n_users=2000, n_items=1000, n_shown=50), item_feature="metadata"
    ).data.to_interactions()
    genres = data.item_features.to_csr().toarray()
    fitted = genres @ np.linalg.lstsq(genres, made.item_factors, rcond=None)[0]
    explained = 1 - (made.item_factors - fitted).var() / made.item_factors.var()
    assert 0.3 < explained < 0.7


def test_the_whole_catalogue_exists_even_where_nobody_was_shown_anything():
    made = generate(SyntheticSettings(n_users=50, n_items=400, n_shown=2))
    assert (made.data.n_users, made.data.n_items) == (50, 400)


def test_more_shown_than_there_is_stops_at_95_percent():
    made = generate(SyntheticSettings(n_users=200, n_items=20, n_shown=60))
    assert made.shown.n_pairs / 200 == pytest.approx(19, rel=0.02)
