"""One evaluation: all metrics for every k, from one pass over the users."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from hbpr.data.interactions import Interactions, UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation.listed import ScorePairs, listed_ranks, pairs_from_blocks
from hbpr.evaluation.propensity import exposure_metrics
from hbpr.evaluation.ranks import Ranks, ScoreBlock, held_out_ranks
from hbpr.evaluation.recommended import Beyond, Recommended
from hbpr.names import METRICS, Part, metric_name

logger = logging.getLogger(__name__)


class Scorer(Protocol):
    """What can be evaluated: a model, a baseline."""

    def block_scorer(self) -> ScoreBlock:
        """Prepare what all users share, such as item vectors, and return the scoring function.

        It maps (B,) int64 user indices to (B, I) float32 scores, C-contiguous. The caller may
        overwrite the scores, and is done with them before the next call, so one buffer can serve
        all calls.
        """


@runtime_checkable
class PairScorer(Protocol):
    """A scorer that need not score the whole catalogue for a few candidates."""

    def pair_scorer(self) -> ScorePairs:
        """Prepare what all pairs share and return the function that scores pairs.

        It maps (n,) user and (n,) item indices to (n,) float32 scores.
        """


@dataclass(frozen=True)
class Evaluation:
    """Result of one evaluation.

    Attributes:
        metrics: Mean over the evaluated users by full name, such as ``val/ndcg_at_10``.
        n_users: Users the means are over: something is held out, and it is ranked among others.
        n_skipped: Users with nothing held out; they are in no mean.
        n_unopposed: Users whose candidates are all held out, so that every ranking is perfect;
            they are in no mean either.
        ranks: Of the users in the means. For values per user: ``ndcg_at_k(evaluation.ranks, 10)``
            beside ``evaluation.ranks.users``.
        candidates: What the held-out items were ranked among: ``all`` (the catalogue) or
            ``listed``. Numbers of the two do not compare.
        recommended: The lists of the users in the means, where metrics of them were asked for.
    """

    metrics: dict[str, float]
    n_users: int
    n_skipped: int
    n_unopposed: int
    ranks: Ranks
    candidates: Literal["all", "listed"] = "all"
    recommended: Recommended | None = None


def evaluate(
    scorer: Scorer,
    held_out: UserItems,
    *,
    exclude: UserItems,
    top_k: Sequence[int],
    part: Part,
    candidates: UserItems | None = None,
    beyond: Beyond | None = None,
) -> Evaluation:
    """Score a ranking of each user's candidates against the held-out items.

    Candidates of a user are the listed items, or all, but the excluded ones; held-out items always
    are among them. Users without any other candidate are left out and counted.

    Args:
        scorer: Model or baseline.
        held_out: (U, I) pairs that should be ranked high.
        exclude: (U, I) pairs that are not ranked: what the model was trained on.
        top_k: Lengths of the lists that are judged, each at least 1; a length above the number of
            candidates judges them all.
        part: First half of the metric names.
        candidates: (U, I) pairs to rank the held-out items among, beside themselves; None: the
            whole catalogue. A scorer that is a `PairScorer` then scores only these.
        beyond: Metrics of the recommended lists, which are kept only for them; None: none.

    Returns:
        The metrics, and how many users they are over.

    Raises:
        ConfigError: A length is below 1.
        DataError: Nothing is held out, nobody has another candidate, or shapes do not agree.
        DivergedError: A score is NaN.
    """
    if any(k < 1 for k in top_k):
        raise ConfigError(f"top_k: every length must be at least 1, got {list(top_k)}")
    if held_out.n_pairs == 0:
        raise DataError(
            f"evaluation of {part}: no user has an item held out; leave a share of the "
            "interactions for this part in data.split"
        )
    longest = max(top_k, default=0) if beyond else 0
    if candidates is None:
        ranks = held_out_ranks(scorer.block_scorer(), held_out, exclude, longest=longest)
    else:
        score = (
            scorer.pair_scorer()
            if isinstance(scorer, PairScorer)
            else pairs_from_blocks(scorer.block_scorer(), held_out.n_items)
        )
        ranks = listed_ranks(score, held_out, exclude, candidates, longest=longest)
    n_skipped = held_out.n_users - ranks.n_users
    opposed = ranks.n_candidates > ranks.n_held_out
    n_unopposed = int((~opposed).sum())
    if n_unopposed == len(opposed):
        raise DataError(
            f"evaluation of {part}: none of the {n_unopposed} users with an item held out has "
            + (
                "another candidate to rank it among; add items that they did not choose"
                if candidates is None
                else "another candidate to rank it among; use data.candidates: all, or data with "
                "observed negatives in this part"
            )
        )
    if n_unopposed:
        ranks = ranks.of(opposed)
    metrics = _means(ranks, part, top_k)
    recommended = None
    if beyond:
        recommended = beyond.recommended(ranks.top)
        metrics |= _of_lists(recommended, beyond.metrics, part, top_k)
    logger.debug(
        "%s: %d users evaluated, %d with nothing held out, %d without another candidate",
        part,
        ranks.n_users,
        n_skipped,
        n_unopposed,
    )
    kind: Literal["all", "listed"] = "all" if candidates is None else "listed"
    return Evaluation(metrics, ranks.n_users, n_skipped, n_unopposed, ranks, kind, recommended)


def _means(ranks: Ranks, part: Part, top_k: Sequence[int]) -> dict[str, float]:
    """Mean over the users of every metric of ranks, those of the whole ranking first."""
    of_ranks = {name: metric for name, metric in METRICS.items() if metric.of == "ranks"}
    means = {
        metric_name(part, name): float(metric(ranks).mean())
        for name, metric in of_ranks.items()
        if not metric.takes_k
    }
    for k in dict.fromkeys(top_k):
        for name, metric in of_ranks.items():
            if metric.takes_k:
                means[metric_name(part, name, k)] = float(metric(ranks, k).mean())
    return means


def _of_lists(
    found: Recommended, names: Sequence[str], part: Part, top_k: Sequence[int]
) -> dict[str, float]:
    """Mean over the users of metrics of recommended lists, or their one value."""
    return {
        metric_name(part, name, k): float(np.mean(METRICS[name](found, k)))
        for k in dict.fromkeys(top_k)
        for name in names
    }


def evaluate_part(
    scorer: Scorer,
    data: Interactions,
    part: Part,
    top_k: Sequence[int],
    metrics: Sequence[str] = (),
) -> Evaluation:
    """Rank a held-out part of a dataset among the candidates that the data name.

    Args:
        scorer: Model or baseline.
        data: A split dataset.
        part: ``val`` (never ranked: train) or ``test`` (never ranked: train and validation).
            Where the data ask for unseen candidates, observed negatives of these are left out too.
            Where they know the probability of exposures, the estimates of `exposure_metrics` are
            added.
        top_k: As for `evaluate`; so are the errors.
        metrics: Metrics of recommended lists to add, by their names in `hbpr.names.METRICS`.
            Popularity is that of the training part.
    """
    if part == "test":
        held_out, candidates, judged = data.test, data.test_candidates, data.test_judged
    else:
        held_out, candidates = data.validation, data.validation_candidates
        judged = data.validation_judged
    exclude = data.no_candidates(part)
    found = evaluate(
        scorer,
        held_out,
        exclude=exclude,
        top_k=top_k,
        part=part,
        candidates=candidates,
        beyond=Beyond.of(metrics, data),
    )
    if judged is None:
        return found
    estimates = exposure_metrics(scorer.block_scorer(), judged, exclude, part=part, top_k=top_k)
    return dataclasses.replace(found, metrics=found.metrics | estimates)
