"""What every metric of the table must do, whatever it is a function of."""

import numpy as np
import pytest
import scipy.sparse as sp
from pydantic import ValidationError

from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError
from hbpr.evaluation import Beyond, evaluate, held_out_ranks
from hbpr.evaluation.page_shares import Neighbours, page_shares
from hbpr.names import (
    COSTS,
    METRICS,
    check_validation_metric,
    lower_is_better,
    metric_name,
    parse_metric_name,
)
from hbpr.settings.models import TrainingSettings

OF_RANKS = [name for name, metric in METRICS.items() if metric.of == "ranks"]
OF_LISTS = [name for name, metric in METRICS.items() if metric.of == "recommended"]
OF_NEIGHBOURS = [name for name, metric in METRICS.items() if metric.of == "neighbours"]


def full_name(name, k=3):
    return metric_name("val", name, k if METRICS[name].takes_k else None)


@pytest.mark.parametrize("name", list(METRICS))
def test_facts_are_complete(name):
    metric = METRICS[name]
    assert metric.label
    assert lower_is_better(full_name(name)) == (not metric.higher_is_better)


@pytest.mark.parametrize("name", OF_RANKS)
class TestOfRanks:
    def test_one_value_for_each_user(self, case, name):
        c = case(0)
        ranks = held_out_ranks(lambda users: c.scores[users], c.held_out, c.exclude)
        assert METRICS[name](ranks, 3).shape == (ranks.n_users,)

    def test_is_reported_under_its_full_name(self, case, table, name):
        c = case(0)
        found = evaluate(table(c.scores), c.held_out, exclude=c.exclude, top_k=(3,), part="val")
        assert found.metrics[full_name(name)] == METRICS[name](found.ranks, 3).mean()
        assert parse_metric_name(full_name(name)).metric == name

    def test_a_better_ranking_is_better(self, case, name):
        c = case(0)
        truth = c.held_out.to_csr().toarray().astype(np.float32)
        right, wrong = (
            np.nanmean(
                METRICS[name](held_out_ranks(lambda users, s=s: s[users], c.held_out, c.exclude), 3)
            )
            for s in (truth, -truth)
        )
        assert (right > wrong) == METRICS[name].higher_is_better

    def test_only_one_that_is_to_be_high_is_monitored(self, name):
        if METRICS[name].higher_is_better:
            assert check_validation_metric(full_name(name)) == full_name(name)


@pytest.mark.parametrize("name", OF_LISTS)
class TestOfRecommended:
    def test_is_reported_where_it_is_asked_for(self, case, table, name):
        c = case(0)
        described = sp.csr_matrix(np.eye(c.scores.shape[1]))
        ask = {"exclude": c.exclude, "top_k": (3,), "part": "val"}
        found = evaluate(
            table(c.scores), c.held_out, **ask, beyond=Beyond((name,), c.exclude, described)
        )
        assert found.metrics[full_name(name)] == np.mean(METRICS[name](found.recommended, 3))
        assert parse_metric_name(full_name(name)) == ("val", name, 3)
        assert full_name(name) not in evaluate(table(c.scores), c.held_out, **ask).metrics

    def test_picks_no_epoch(self, name):
        why = "what users chose" if METRICS[name].higher_is_better else "better when lower"
        with pytest.raises(ConfigError, match=why):
            check_validation_metric(full_name(name))
        with pytest.raises(ValidationError, match=f"(?s)monitor.*{why}"):
            TrainingSettings(monitor=full_name(name, 10))


@pytest.mark.parametrize("name", OF_NEIGHBOURS)
def test_of_neighbours_is_one_value_under_its_full_name(name):
    shown = UserItems.from_pairs([0, 0, 0, 1, 1], [0, 1, 2, 2, 3], n_users=2, n_items=4)
    chosen = UserItems.from_pairs([0, 1], [0, 2], n_users=2, n_items=4)
    items, neighbours = np.array([0, 1, 2]), np.array([1, 3, 0])
    found = page_shares(
        items, neighbours, np.ones(3, int), shown=shown, chosen=chosen, part="val", top_k=(3,)
    )
    value = METRICS[name](Neighbours(items, neighbours, shown, chosen))
    assert isinstance(value, float)
    assert found[full_name(name)] == value


def test_costs_are_better_when_lower():
    assert all(lower_is_better(name) for name in COSTS)
    assert not lower_is_better("val/nothing")
