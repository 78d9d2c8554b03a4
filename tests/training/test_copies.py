"""Threads on copies of shared rows."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.training.fused.copies import Copies, Shared, rounds_of, shares


def shared(visits: float, *, adagrad: bool = False, n: int = 5, d: int = 3) -> Shared:
    rows = np.arange(n * d, dtype=np.float32).reshape(n, d)
    sums = np.ones((n, d) if adagrad else (1, 1), np.float32)
    return Shared(rows, sums, np.full(n, visits, np.float32))


@pytest.mark.parametrize(("visits", "share"), [(0.0, 1.0), (1e9, 1 / 3)])
def test_seldom_rows_add_up_and_frequent_rows_take_the_mean(visits: float, share: float) -> None:
    part = shared(visits)
    before = part.rows.copy()
    copies = Copies([part], 3, 1, adagrad=False)

    def work(thread: int, turn: int) -> float:
        copies.rows_of(thread)[0][...] += thread + 1
        return float(thread)

    assert copies.run(work, 0.1) == 3.0
    np.testing.assert_allclose(part.rows, before + 6 * share, rtol=1e-5)


def test_between_the_two_the_way_is_that_of_one_thread() -> None:
    """Steps that take a fixed share of the way to 1, from 0, m by each of two threads."""
    m, lr, curvature = 7, 0.5, 0.1
    part = Shared(np.zeros((4, 2), np.float32), np.zeros((1, 1), np.float32), np.full(4, 2.0 * m))
    part = part._replace(visits=part.visits.astype(np.float32))
    copies = Copies([part], 2, 1, adagrad=False)

    def work(thread: int, turn: int) -> float:
        copies.rows_of(thread)[0][...] = -np.expm1(-lr * curvature * m)
        return 0.0

    copies.run(work, lr)
    np.testing.assert_allclose(part.rows, -np.expm1(-lr * curvature * 2 * m), rtol=1e-5)


def test_sums_of_squares_add_up() -> None:
    part = shared(0.0, adagrad=True)
    copies = Copies([part], 2, 2, adagrad=True)

    def work(thread: int, turn: int) -> float:
        copies.sums_of(thread)[0][...] += 1.0
        return 1.0

    assert copies.run(work, 0.1) == 4.0
    np.testing.assert_allclose(part.sums, 5.0)


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failing_thread_is_reported_and_holds_nobody_up(failing: int) -> None:
    copies = Copies([shared(1.0)], 2, 3, adagrad=False)

    def work(thread: int, turn: int) -> float:
        if thread == failing and turn == 1:
            raise MemoryError("no room")
        return 0.0

    with pytest.raises(MemoryError, match="no room"):
        copies.run(work, 0.1)
    assert threading.active_count() < 20


def test_merges_are_rare_enough_to_pay() -> None:
    assert rounds_of(800_000, 3_700, 2) == 4
    assert rounds_of(1_000, 3_700, 2) == 0


@given(st.lists(st.integers(0, 1000), max_size=40), st.integers(1, 5))
def test_every_block_has_one_thread_and_none_has_much_more(sizes: list[int], n: int) -> None:
    parts = shares(np.asarray(sizes, np.int64), n)
    assert sorted(place for part in parts for place in part.tolist()) == list(range(len(sizes)))
    assert all((np.diff(part) > 0).all() for part in parts)
    loads = [sum(sizes[place] for place in part) for part in parts]
    assert max(loads) - min(loads) <= max(sizes, default=0)
