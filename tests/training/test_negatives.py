"""What drawn negatives must be, in torch and in the compiled loops."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare

from hbpr.data.interactions import Interactions
from hbpr.settings.models import NegativeSettings
from hbpr.training.fused.draws import KINDS, draw_ahead, mark_positives, order_positives
from hbpr.training.negatives import NegativeSampler

N_ITEMS = 70  # more than one word of a bit set
#: (kind, user, seed, n_draws, observed share) -> drawn items.
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
    def draw(kind: str, user: int, seed: int = 0, n: int = 4000, share: float = 0.5):
        settings = NegativeSettings(kind=kind, observed=share)
        sampler = NegativeSampler(settings, data.train, data.train_negatives, torch.device("cpu"))
        users = torch.full((n // 4, 4), user)
        drawn = sampler.draw(users, torch.Generator().manual_seed(seed))
        assert drawn.shape == users.shape
        assert drawn.dtype == torch.int64
        return drawn.numpy().ravel()

    return draw


def _by_compiled_loop(data: Interactions) -> Draw:
    def draw(kind: str, user: int, seed: int = 0, n: int = 4000, share: float = 0.5):
        first = max(0, user - 1)  # blocks do not start at their user
        known = np.zeros((3, 2), np.uint64)
        mark_positives(known, first, user + 2, *_csr(data.train, user + 2), True)
        drawn = np.empty((n // 4, 4), np.int64)
        order = np.array([[user, 0]] * len(drawn), np.int32)
        draw_ahead(
            np.array([seed + 1], np.uint64), drawn, order, 0, len(drawn), first, known,
            data.train.indptr, data.train.items, data.train_negatives.indptr,
            data.train_negatives.items, KINDS[kind], np.float32(share), N_ITEMS,
        )  # fmt: skip
        return drawn.ravel()

    return draw


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
        counts = np.bincount(draw(kind, 5, n=20000, share=1.0), minlength=N_ITEMS)[FREE[5]]
        assert counts.min() > 0
        assert chisquare(counts).pvalue > 1e-4

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_the_mix_holds_its_share(self, draw: Draw, share: float) -> None:
        drawn = draw("mixed", 0, n=20000, share=share)
        by_chance = (1 - share) * len(DISLIKED[0]) / len(FREE[0])
        expected = share + by_chance
        observed = np.isin(drawn, DISLIKED[0]).mean()
        assert observed == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 20000))
        if share == 1.0:
            assert observed == 1.0

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
        NegativeSettings(kind="mixed"), data.train, data.train_negatives, torch.device("cpu")
    )
    users = torch.arange(len(KNOWN)).repeat(500)
    items = sampler.draw(users, torch.Generator().manual_seed(0))
    assert not data.train.to_csr().toarray()[users, items].any()


def test_positives_are_ordered_whole_and_at_random(data_of: Callable[..., Interactions]) -> None:
    """Every positive of the block once, none of a user who knows the whole catalogue."""
    train = [(0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 2), (3, 1)]
    data = data_of(4, 3, train)
    seen = set()
    for seed in range(200):
        order = np.full((7, 2), -1, np.int32)
        n = order_positives(
            np.array([seed], np.uint64), order, 0, 3, data.train.indptr, data.train.items, 3
        )
        assert sorted(map(tuple, order[:n].tolist())) == [(0, 1), (2, 0), (2, 2)]
        seen.add(tuple(order[:n].ravel().tolist()))
    assert len(seen) == 6


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
