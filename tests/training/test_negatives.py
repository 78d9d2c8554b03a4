"""What drawn negatives must be, in torch and in the compiled loops."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

from hbpr.data.interactions import Interactions
from hbpr.models import MatrixFactorization
from hbpr.settings.models import NEGATIVES, MixedNegatives
from hbpr.training.fused.draws import (
    KINDS,
    alias_table,
    draw_ahead,
    mark_positives,
    order_positives,
)
from hbpr.training.fused.pools import follow, make_pools
from hbpr.training.negatives import NegativeSampler

N_ITEMS = 70  # more than one word of a bit set
#: (kind, user, seed, number of draws, other settings) -> drawn items.
Draw = Callable[..., NDArray[np.int64]]

# User 0 knows a few items, 1 all but item 66, 2 none, 3 every second; 4 all but three, one of
# which the user is known to dislike; 5 has no observed negatives, and all others have some.
KNOWN = {
    0: [0, 1, 63, 64, 69],
    1: [i for i in range(N_ITEMS) if i != 66],
    2: [],
    3: list(range(0, N_ITEMS, 2)),
    4: [i for i in range(N_ITEMS) if i not in (0, 31, 69)],
    5: [5, 6],
}
DISLIKED = {0: [2, 65], 1: [66], 2: [7], 3: [1, 3, 69], 4: [31], 5: []}
FREE = {u: sorted(set(range(N_ITEMS)) - set(known)) for u, known in KNOWN.items()}


@pytest.fixture(scope="module")
def data(data_of: Callable[..., Interactions]) -> Interactions:
    return data_of(
        len(KNOWN),
        N_ITEMS,
        [(u, i) for u, items in KNOWN.items() for i in items],
        negatives=[(u, i) for u, items in DISLIKED.items() for i in items],
    )


def _by_torch(data: Interactions) -> Draw:
    def draw(kind: str, user: int, seed: int = 0, n: int = 4000, **settings: float):
        settings = NEGATIVES.validate({"kind": kind, **settings})
        sampler = NegativeSampler(settings, data.train, data.train_negatives, torch.device("cpu"))
        sampler.follow(_model(data))
        users = torch.full((n // 4, 4), user)
        drawn = sampler.draw(users, torch.Generator().manual_seed(seed))
        assert drawn.shape == users.shape
        assert drawn.dtype == torch.int64
        return drawn.numpy().ravel()

    return draw


def _by_compiled_loop(data: Interactions) -> Draw:
    def draw(kind: str, user: int, seed: int = 0, n: int = 4000, **settings: float):
        pools = make_pools(NEGATIVES.validate({"kind": kind, **settings}), data)
        first = max(0, user - 1)  # blocks do not start at their user
        known = np.zeros((3, 2), np.uint64)
        mark_positives(known, first, user + 2, *_csr(data.train, user + 2), True)
        drawn = np.empty((n // 4, 4), np.int64)
        order = np.array([[user, 0]] * len(drawn), np.int32)
        draw_ahead(
            np.array([seed + 1], np.uint64), drawn, order, 0, len(drawn), first, known,
            data.train.indptr, data.train.items, follow(pools, _model(data)), N_ITEMS,
        )  # fmt: skip
        return drawn.ravel()

    return draw


def _model(data: Interactions) -> MatrixFactorization:
    """Users 2 and 5 have one factor each, of either sign; items rank 0, 1, 2, ... by factor 0."""
    model = MatrixFactorization(data.user_features, data.item_features, n_latent=3, init_std=1.0)
    with torch.no_grad():
        model.U[2] = torch.tensor([2.0, 0.0, 0.0])
        model.U[5] = torch.tensor([-2.0, 0.0, 0.0])
        model.V[:, 0] = torch.linspace(1.0, -1.0, N_ITEMS)
    return model


def _csr(pairs, last: int):
    """CSR arrays that reach user last - 1; users past the end have nothing."""
    ends = np.full(max(0, last + 1 - len(pairs.indptr)), pairs.indptr[-1])
    return np.concatenate([pairs.indptr, ends]), pairs.items


@pytest.fixture(params=[_by_torch, _by_compiled_loop], ids=["torch", "compiled"])
def draw(request: pytest.FixtureRequest, data: Interactions) -> Draw:
    return request.param(data)


class TestContract:
    @pytest.mark.parametrize("user", KNOWN)
    @pytest.mark.parametrize("kind", KINDS)
    def test_never_a_known_positive(self, draw: Draw, kind: str, user: int) -> None:
        assert set(draw(kind, user)) <= set(FREE[user])

    @pytest.mark.parametrize("user", KNOWN)
    def test_all_others_are_as_likely(self, draw: Draw, user: int) -> None:
        counts = np.bincount(draw("uniform", user, n=20000), minlength=N_ITEMS)[FREE[user]]
        assert counts.min() > 0
        if len(counts) > 1:
            assert chisquare(counts).pvalue > 1e-4

    def test_a_user_who_knows_all_but_one_item_gets_that_one(self, draw: Draw) -> None:
        assert set(draw("uniform", 1)) == {66}

    @pytest.mark.parametrize("user", [0, 3, 4])
    def test_observed_negatives_come_from_the_user_alone(self, draw: Draw, user: int) -> None:
        counts = np.bincount(draw("observed", user), minlength=N_ITEMS)
        assert set(np.flatnonzero(counts)) == set(DISLIKED[user])
        if len(DISLIKED[user]) > 1:
            assert chisquare(counts[DISLIKED[user]]).pvalue > 1e-4

    @pytest.mark.parametrize("kind", ["observed", "mixed"])
    def test_without_observed_negatives_all_others_are_drawn(self, draw: Draw, kind: str) -> None:
        share = {"observed": 1.0} if kind == "mixed" else {}
        counts = np.bincount(draw(kind, 5, n=20000, **share), minlength=N_ITEMS)[FREE[5]]
        assert counts.min() > 0
        assert chisquare(counts).pvalue > 1e-4

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_the_mix_holds_its_share(self, draw: Draw, share: float) -> None:
        drawn = draw("mixed", 0, n=20000, observed=share)
        by_chance = (1 - share) * len(DISLIKED[0]) / len(FREE[0])
        expected = share + by_chance
        observed = np.isin(drawn, DISLIKED[0]).mean()
        assert observed == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 20000))
        if share == 1.0:
            assert observed == 1.0

    @pytest.mark.parametrize("alpha", [0.0, 0.75, 2.0])
    def test_popularity_counts_by_its_exponent(self, draw: Draw, data, alpha: float) -> None:
        weights = np.bincount(data.train.items, minlength=N_ITEMS) ** alpha
        drawn = np.bincount(draw("popularity", 2, n=20000, alpha=alpha), minlength=N_ITEMS)
        assert chisquare(drawn, 20000 * weights / weights.sum()).pvalue > 1e-4

    def test_popularity_passes_over_what_is_known(self, draw: Draw, data) -> None:
        weights = np.bincount(data.train.items, minlength=N_ITEMS)[FREE[0]].astype(float)
        drawn = np.bincount(draw("popularity", 0, n=20000, alpha=1.0), minlength=N_ITEMS)
        assert chisquare(drawn[FREE[0]], 20000 * weights / weights.sum()).pvalue > 1e-4

    @pytest.mark.parametrize(("user", "end"), [(2, 0), (5, N_ITEMS - 1)], ids=["up", "down"])
    @pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
    def test_adaptive_draws_what_ranks_high(
        self, draw: Draw, user: int, end: int, share: float
    ) -> None:
        """Ranks from the user's end of the factor are geometric, wrapped round the catalogue."""
        free = np.isin(np.arange(N_ITEMS), FREE[user])
        stay = 1.0 - 1.0 / (1.0 + max(1.0, share * N_ITEMS))
        expected = stay ** np.abs(np.arange(N_ITEMS) - end) * free
        counts = np.bincount(
            draw("adaptive", user, n=20000, adaptive_share=share), minlength=N_ITEMS
        )
        expected *= 20000 / expected.sum()
        often = expected > 5
        rest = max(20000 - expected[often].sum(), 1e-9)
        observed = [*counts[often], counts[~often].sum()]
        assert chisquare(observed, [*expected[often], rest]).pvalue > 1e-4

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_seed_decides(self, draw: Draw, kind: str) -> None:
        np.testing.assert_array_equal(draw(kind, 0, seed=3), draw(kind, 0, seed=3))
        if kind != "observed":
            assert (draw(kind, 0, seed=3) != draw(kind, 0, seed=4)).any()

    def test_neighbouring_draws_are_independent(self, draw: Draw) -> None:
        drawn = draw("uniform", 2, n=40000) % 5
        counts = np.bincount(5 * drawn[:-1] + drawn[1:], minlength=25)
        assert chisquare(counts).pvalue > 1e-4


def test_many_users_at_once_each_get_their_own(data: Interactions) -> None:
    sampler = NegativeSampler(
        MixedNegatives(), data.train, data.train_negatives, torch.device("cpu")
    )
    users = torch.arange(len(KNOWN)).repeat(500)
    items = sampler.draw(users, torch.Generator().manual_seed(0))
    assert not data.train.to_csr().toarray()[users, items].any()


@pytest.mark.parametrize("user", [0, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_both_engines_draw_alike(data: Interactions, kind: str, user: int) -> None:
    """For users who know little: the engines try a pool that is mostly known to its own limit."""
    counts = np.array(
        [
            np.bincount(engine(data)(kind, user, n=20000), minlength=N_ITEMS)
            for engine in (_by_torch, _by_compiled_loop)
        ]
    )
    seen = counts.sum(0) >= 10
    counts = np.column_stack([counts[:, seen], counts[:, ~seen].sum(1) + 5])
    assert chi2_contingency(counts).pvalue > 1e-4


@pytest.mark.parametrize("weights", [[1.0], [0, 0, 3], [1, 2, 3, 4, 0], [1e-9, 1, 1e6]], ids=str)
def test_an_alias_table_holds_the_weights(weights: list[float]) -> None:
    keep, alias = alias_table(np.array(weights, np.float64))
    n = len(weights)
    share = keep / n
    np.add.at(share, alias, (1 - keep) / n)
    np.testing.assert_allclose(share, np.array(weights) / sum(weights), atol=1e-6)


def test_positives_are_ordered_whole_and_at_random(data_of: Callable[..., Interactions]) -> None:
    """Every positive of the block once, none of a user who knows the whole catalogue."""
    data = data_of(4, 3, [(0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 2), (3, 1)])
    once = np.zeros(0, np.int32)
    orders = [_order(data, once, seed) for seed in range(200)]
    assert all(sorted(order) == [(0, 1), (2, 0), (2, 2)] for order in orders)
    assert len(set(orders)) == 6


def test_positives_are_repeated_as_told(data_of: Callable[..., Interactions]) -> None:
    data = data_of(4, 3, [(0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 2), (3, 1)])
    copies = np.array([2, 9, 9, 9, 0, 3, 9], np.int32)
    assert sorted(_order(data, copies, 1)) == [(0, 1)] * 2 + [(2, 2)] * 3


def _order(data: Interactions, copies: NDArray[np.int32], seed: int) -> tuple[tuple[int, int], ...]:
    """Positives of the users 0, 1 and 2."""
    order = np.full((40, 2), -1, np.int32)
    state = np.array([seed], np.uint64)
    n = order_positives(state, order, 0, 3, data.train.indptr, data.train.items, copies, 3)
    assert (order[n:] == -1).all()
    return tuple(map(tuple, order[:n].tolist()))


def test_bit_sets_are_cleared_where_they_were_set(data: Interactions) -> None:
    known = np.zeros((len(KNOWN), 2), np.uint64)
    arrays = (data.train.indptr, data.train.items)
    mark_positives(known, 0, len(KNOWN), *arrays, True)
    bits = (known[:, :, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    np.testing.assert_array_equal(
        bits.reshape(len(KNOWN), -1)[:, :N_ITEMS], data.train.to_csr().toarray()
    )
    mark_positives(known, 0, len(KNOWN), *arrays, False)
    assert not known.any()
