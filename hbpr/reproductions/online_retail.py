"""Online Retail, 70/30 for each customer: precision@10 for several ideas of a candidate."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hbpr.baselines import Popularity
from hbpr.data import Interactions, UserItems, load_data
from hbpr.evaluation import Evaluation, Ranks, ScoreBlock, Scorer
from hbpr.evaluation.metrics import PerUser, precision_at_k
from hbpr.reproductions.baselines import EASE, POPULARITY, fit_ease
from hbpr.reproductions.paired import paired_difference
from hbpr.reproductions.row import Band, Figures, Order, Published, Row, Say
from hbpr.reproductions.seeds import evaluate_test, refit_note, train_seeds
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings

_METRICS: Final = ("test/precision_at_10", "test/ndcg_at_10", "test/auc")
_OURS: Final = "matrix factorization"
_PERFECT: Final = "the perfect order"
_RANDOM: Final = "any order, at random"
_AMONG_CANCELLED: Final = "among cancelled"


class RandomOrder:
    """Scores drawn at random: what lists of some candidates give without any knowledge.

    Args:
        n_items: Number of items, I.
        seed: Seed of the scores.
    """

    def __init__(self, n_items: int, seed: int) -> None:
        self._n_items = n_items
        self._rng = np.random.default_rng(seed)

    def block_scorer(self) -> ScoreBlock:
        """Return the scoring function, see `hbpr.evaluation.Scorer`."""

        def score(users: NDArray[np.int64]) -> NDArray[np.float32]:
            return self._rng.random((len(users), self._n_items), dtype=np.float32)

        return score


class PerfectOrder:
    """Knows the held-out items: the most that a metric can reach on some data.

    Args:
        held_out: (U, I) pairs to rank first.
    """

    def __init__(self, held_out: UserItems) -> None:
        self._matrix = held_out.to_csr()

    def block_scorer(self) -> ScoreBlock:
        """Return the scoring function, see `hbpr.evaluation.Scorer`."""

        def score(users: NDArray[np.int64]) -> NDArray[np.float32]:
            return np.asarray(self._matrix[users].toarray(), np.float32)

        return score


def _measure(settings: TrialSettings, seeds: Sequence[int], say: Say) -> tuple[Figures, ...]:
    data = load_data(settings.data)
    cancelled = load_data(with_values(settings, {"data.candidates": "observed"}).data)
    top_k = settings.training.top_k
    runs = train_seeds(settings, data, seeds, refit=True, say=say)
    ease, chosen = fit_ease(data, settings.training, say)
    models: list[Scorer] = [run.model for run in runs]
    ours = [evaluate_test(model, data, top_k).ranks for model in models]
    lead = paired_difference(ours, evaluate_test(ease, data, top_k).ranks, _precision)
    about = (
        f"{refit_note(runs)}; precision@10 over the customers {lead[0]:+.4f} ± {lead[1]:.4f} to "
        "EASE (95 %)"
    )
    chance: list[Scorer] = [RandomOrder(data.n_items, seed) for seed in seeds]
    methods: tuple[tuple[str, Sequence[Scorer], Sequence[int], str], ...] = (
        (_OURS, models, seeds, about),
        (EASE, [ease], (), chosen),
        (POPULARITY, [Popularity(data.seen())], (), ""),
        (_RANDOM, chance, seeds, ""),
        (_PERFECT, [PerfectOrder(data.test)], (), "knows the test part"),
    )
    found = []
    for view, place in ((data, ""), (cancelled, f", {_AMONG_CANCELLED}")):
        for label, scorers, numbers, note in methods:
            tests = [evaluate_test(scorer, view, top_k) for scorer in scorers]
            described = [_customers(tests[0], view), note if view is data else ""]
            found.append(
                Figures.of(
                    f"{label}{place}",
                    view,
                    [test.metrics for test in tests],
                    seeds=numbers,
                    metrics=_METRICS,
                    note="; ".join(part for part in described if part),
                )
            )
    return tuple(found)


def _precision(ranks: Ranks) -> PerUser:
    return precision_at_k(ranks, 10)


def _customers(found: Evaluation, data: Interactions) -> str:
    """Say how many customers the means are over, and how thin the candidates are."""
    text = f"{found.n_users} customers"
    if data.test_candidates is None:
        return text
    ranks = found.ranks
    others = ranks.n_candidates - ranks.n_held_out
    return (
        f"{text}, {found.n_unopposed} left out who cancelled nothing in test; "
        f"{ranks.n_held_out.mean():.1f} bought against {others.mean():.1f} cancelled each"
    )


ROW: Final = Row(
    name="online-retail",
    title="UCI Online Retail, 70 % of each customer's products for training, lists of ten",
    protocol="""
A customer and a product are a positive pair if more pieces were bought than cancelled. An observed
negative is a product that was cancelled and of which nothing was kept: the sheet has no other sign
of dislike, and only 2,218 such pairs beside 264,668 positives. Each customer's products are parted
at random: 70 % for training (of these a seventh for validation, which the last fit learns too),
30 % for test.

A vendor reports a precision@10 of about .82 and does not name the candidates. Two are measured:

- The whole catalogue without what the customer's training holds. Customers with fewer than ten
  products in test cannot fill a list, so that even the perfect order stays below .82.
- Only what the same customer cancelled, in the test part. Nine of ten customers with a product in
  test cancelled nothing there; every order of theirs would be perfect, so they are counted and in
  no mean. The others have many bought products against one or two cancelled, and a list in random
  order passes .82. A figure of this kind says nothing about a recommender.

On validation factorization and EASE are level (.140 each); after the refit on both parts EASE has
gained more (its test NDCG@10 goes from .287 to .316): a customer's list is a sum over what was
bought, so that more known products reach it at once, and a vector has to be fitted to them.
""",
    metrics=_METRICS,
    published=(
        Published(
            "a vendor, candidates not named",
            {"test/precision_at_10": 0.82},
            "no address given",
        ),
    ),
    bars=(
        Order(_OURS, EASE, "test/precision_at_10", why="the whole catalogue"),
        Order(_OURS, EASE, "test/ndcg_at_10", why="the whole catalogue"),
        Band(
            _OURS,
            "test/precision_at_10",
            low=0.82,
            why="the vendor's figure; the perfect order does not reach it here",
        ),
        Band(
            f"{_OURS}, {_AMONG_CANCELLED}",
            "test/precision_at_10",
            low=0.82,
            why="the vendor's figure; a random order reaches it here",
        ),
    ),
    measure=_measure,
)
