"""What rows compare with: EASE as validation chooses it, random and perfect orders, intervals."""

import numpy as np
import pytest

from hbpr.baselines import Ease
from hbpr.data import Interactions, UserItems, load_data
from hbpr.evaluation import Ranks, evaluate, evaluate_part
from hbpr.evaluation.metrics import ndcg_at_k, precision_at_k
from hbpr.reproductions.baselines import best_regularisation
from hbpr.reproductions.online_retail import PerfectOrder, RandomOrder
from hbpr.reproductions.paired import paired_difference
from hbpr.reproductions.seeds import evaluate_test
from hbpr.settings.models import DataSettings, SyntheticSettings, TrainingSettings


def _data(seed: int = 0) -> Interactions:
    synthetic = SyntheticSettings(n_users=80, n_items=60, n_shown=20, seed=seed)
    return load_data(DataSettings(source="synthetic", synthetic=synthetic))


def _ranks(ranks: list[float], users: list[int] | None = None) -> Ranks:
    """One held-out item a user, among ten candidates."""
    n = len(ranks)
    return Ranks(
        np.array(range(n) if users is None else users),
        np.arange(n + 1),
        np.array(ranks),
        np.full(n, 10),
    )


def _first(ranks: Ranks) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return precision_at_k(ranks, 1)


def test_the_regularisation_is_the_best_mean_over_the_splits() -> None:
    splits = [_data(0), _data(1)]
    training = TrainingSettings(top_k=(10,))
    tried = (1.0, 30.0, 1000.0)

    found = best_regularisation(splits, training, tried)

    means = {
        each: np.mean(
            [
                evaluate_part(
                    Ease.fit(split.train, regularisation=each), split, "val", (10,)
                ).metrics[training.monitor]
                for split in splits
            ]
        )
        for each in tried
    }
    assert found == max(tried, key=means.__getitem__)


def test_the_perfect_order_reaches_what_short_lists_allow() -> None:
    data = _data()
    found = evaluate_test(PerfectOrder(data.test), data, (10,))
    counts = data.test.counts[data.test.counts > 0]
    assert found.metrics["test/auc"] == 1.0
    assert found.metrics["test/ndcg_at_10"] == pytest.approx(1.0)
    assert found.metrics["test/precision_at_10"] == pytest.approx(
        np.minimum(counts, 10).mean() / 10
    )


def test_a_random_order_is_one_half_and_repeats_with_its_seed() -> None:
    held_out = UserItems.from_pairs(np.arange(400), np.arange(400) % 50, n_users=400, n_items=50)
    none = UserItems.empty(400, 50)

    def auc(seed: int) -> float:
        scorer = RandomOrder(50, seed)
        found = evaluate(scorer, held_out, exclude=none, top_k=(5,), part="test")
        return found.metrics["test/auc"]

    assert auc(1) == pytest.approx(0.5, abs=0.05)
    assert auc(1) == auc(1) != auc(2)


def test_a_difference_is_paired_by_user_and_averaged_over_seeds() -> None:
    ours = [_ranks([1, 1, 2, 2]), _ranks([1, 2, 1, 2])]
    mean, half = paired_difference(ours, _ranks([2, 2, 2, 2]), _first)
    differences = np.array([1.0, 0.5, 0.5, 0.0])
    assert mean == pytest.approx(0.5)
    assert half == pytest.approx(1.96 * differences.std(ddof=1) / 2)


def test_a_method_does_not_differ_from_itself() -> None:
    ranks = _ranks([1, 3, 2])
    assert paired_difference([ranks], ranks, lambda r: ndcg_at_k(r, 5)) == (0.0, 0.0)


def test_other_users_are_refused() -> None:
    with pytest.raises(ValueError, match="same users"):
        paired_difference([_ranks([1, 2])], _ranks([1, 2], users=[0, 5]), _first)
    with pytest.raises(ValueError, match="two users at least, got 1"):
        paired_difference([_ranks([1])], _ranks([1]), _first)
