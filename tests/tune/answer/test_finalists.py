from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hbpr.baselines import Popularity
from hbpr.baselines.compare import compare, judge
from hbpr.data import load_data
from hbpr.settings.models import TrialSettings
from hbpr.training.trainer import Trainer
from tune.answer.finalists import by_user, repeat_trial, summarize
from tune.storage.repeat import Repeat

SETTINGS = TrialSettings.model_validate(
    {
        "data": {"source": "synthetic", "synthetic": {"n_users": 60, "n_items": 40, "n_shown": 20}},
        "model": {"n_latent": 4},
        "training": {"n_iter": 4, "eval_every": 2, "early_stopping_patience": 0},
    }
)
METRIC = SETTINGS.training.monitor


def repeat(seed: int, value: float, best_epoch: int = 2, users: int = 3) -> Repeat:
    values, metrics = np.full(users, value), {METRIC: value, "val/auc": 0.5}
    return Repeat(seed, best_epoch, metrics, np.arange(users), values, {best_epoch: metrics}, 0, 9)


def test_a_repeat_is_the_trial_run_alone(tmp_path: Path) -> None:
    data = load_data(SETTINGS.data)
    found = repeat_trial(SETTINGS, data, threads=1)
    trainer = Trainer(data, SETTINGS)
    reports = [report for report in trainer if report.metrics]
    assert found.best_epoch == trainer.best_epoch
    assert found.metrics[METRIC] == max(report.metrics[METRIC] for report in reports)
    assert np.nanmean(found.values) == pytest.approx(found.metrics[METRIC])
    assert [(epoch, point[METRIC]) for epoch, point in found.curve.items()] == [
        (report.epoch, report.metrics[METRIC]) for report in reports
    ]
    assert found.curve[4]["train/loss"] == reports[-1].loss
    assert 0 < found.began_at <= found.ended_at
    found.save(tmp_path / "repeat.npz")
    again = Repeat.load(tmp_path / "repeat.npz")
    assert (again.seed, again.best_epoch, again.metrics) == (0, found.best_epoch, found.metrics)
    assert (again.curve, again.began_at, again.ended_at) == (
        found.curve,
        found.began_at,
        found.ended_at,
    )
    assert np.array_equal(again.values, found.values)
    assert np.array_equal(again.users, found.users)
    assert [path.name for path in tmp_path.iterdir()] == ["repeat.npz"]


def test_popularity_is_judged_on_the_same_users() -> None:
    data = load_data(SETTINGS.data)
    users, values, metrics = judge(Popularity(data.train), data, SETTINGS.training)
    assert np.nanmean(values) == pytest.approx(metrics[METRIC])
    assert np.array_equal(users, repeat_trial(SETTINGS, data, threads=1).users)


def test_summary_of_seeds() -> None:
    found = summarize(7, [repeat(1, 0.1, 4), repeat(2, 0.3, 8), repeat(3, 0.2, 6)], METRIC)
    assert (found.number, found.values, found.best_epoch) == (7, (0.1, 0.3, 0.2), 6)
    assert found.mean == pytest.approx(0.2)
    assert found.deviation == pytest.approx(0.1)
    assert found.metrics == {METRIC: found.mean, "val/auc": 0.5}
    alone = summarize(7, [repeat(1, 0.1)], METRIC)
    assert (alone.mean, alone.deviation) == (0.1, 0.0)


def test_a_user_counts_with_the_mean_over_the_seeds() -> None:
    users, values = by_user([repeat(1, 0.1), repeat(2, 0.3)])
    assert users.tolist() == [0, 1, 2]
    assert values == pytest.approx([0.2] * 3)


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=40).filter(
        lambda pairs: np.ptp(np.subtract(*np.transpose(pairs))) > 1e-6
    )
)
def test_the_comparison_is_the_paired_t_test_of_scipy(pairs: list[tuple[float, float]]) -> None:
    ours, others = np.transpose(pairs)
    users = np.arange(len(pairs))
    found = compare((users, ours), (users, others), "b")
    assert found is not None
    expected = stats.ttest_rel(ours, others)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_what_cannot_be_paired_is_not_compared() -> None:
    users, values = np.arange(3), np.ones(3)
    assert compare((users, values), (users + 1, values), "b") is None
    assert compare((users, values * np.nan), (users, values), "b") is None
    same = compare((users, values), (users, values), "b")
    assert same is not None
    assert (same.difference, same.p) == (0.0, 1.0)
