import itertools
import json
import math
import sqlite3
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data import load_data
from hbpr.settings.load import with_values
from hbpr.tracking.findings import RankCorrelation
from hbpr.training.trainer import Trainer
from tune.answer.early_order import rank_correlations, unrestricted, warning_of
from tune.schedulers import (
    AshaSettings,
    HyperbandSettings,
    MedianSettings,
    NoneSettings,
    SchedulerContext,
)
from tune.settings import make_plan
from tune.study import run_study

values = st.lists(st.integers(0, 8), min_size=3, max_size=12)


@given(early=values, data=st.data())
def test_tau_counts_pairs(early, data):
    final = data.draw(st.lists(st.integers(20, 28), min_size=len(early), max_size=len(early)))
    curves = [{5: e, 10: f} for e, f in zip(early, final, strict=True)]
    (found,) = rank_correlations(curves, [5])
    assert found.n_trials == len(curves)
    order = [
        ((a > b) - (a < b), (c > d) - (c < d))
        for (a, c), (b, d) in itertools.combinations(zip(early, final, strict=True), 2)
    ]
    weight = math.sqrt(sum(x != 0 for x, _ in order) * sum(y != 0 for _, y in order))
    if weight == 0:
        assert math.isnan(found.tau)
    else:
        assert found.tau == pytest.approx(sum(x * y for x, y in order) / weight)


def test_the_value_at_a_rung_is_the_first_report_from_there_on():
    curves = [{2: 0.9, 4: 0.1 * i, 6: 1.0 + i} for i in range(6)]
    assert rank_correlations(curves, [3])[0].tau == pytest.approx(1.0)
    assert math.isnan(rank_correlations(curves, [2])[0].tau)


def test_trials_that_end_there_say_nothing():
    curves = [{5: 0.1}, {5: 0.2, 10: 0.3}, {5: math.nan, 10: 0.4}]
    assert [c.n_trials for c in rank_correlations(curves, [5, 10])] == [1, 0]
    assert rank_correlations([], [5])[0].n_trials == 0


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_with_the_stopped_trials_tau_is_that_of_all(noise):
    generator = np.random.default_rng(0)
    early = generator.normal(size=20_000)
    final = (
        early + noise * generator.normal(size=20_000) + 100.0
    )  # later values are the better ones
    curves = [{3: a, 30: b} for a, b in zip(early, final, strict=True)]
    first_cut, second_cut = np.quantile(early, 0.5), np.quantile(early, 0.75)
    finished = [curve for curve in curves if curve[3] > second_cut]
    stopped = [{3: c[3]} for c in curves if c[3] <= first_cut]
    stopped += [{3: c[3], 12: 0.0} for c in curves if first_cut < c[3] <= second_cut]
    ((whole,), (cautious,), (told,)) = (
        rank_correlations(curves, [3]),
        rank_correlations(finished, [3]),
        rank_correlations(finished, [3], stopped=stopped),
    )
    assert told.tau == pytest.approx(whole.tau, abs=0.04)
    assert cautious.tau < whole.tau - 0.05
    assert (told.n_trials, told.n_stopped) == (5000, 15_000)
    (later,) = rank_correlations(finished, [12], stopped=stopped)
    assert later.n_stopped == 5000


@given(st.floats(-1, 1), st.floats(0.1, 50))
def test_a_correction_keeps_sign_and_bounds(tau, ratio):
    found = unrestricted(tau, ratio)
    assert -1 <= found <= 1
    assert found * tau >= 0
    assert unrestricted(found, 1 / ratio) == pytest.approx(tau, abs=1e-6)


def test_a_warning_needs_enough_trials():
    assert warning_of([RankCorrelation(5, 0.1, 4), RankCorrelation(9, math.nan, 9)]) is None
    assert warning_of([RankCorrelation(5, 0.5, 40)]) is None
    assert warning_of([RankCorrelation(5, 0.3, 9)]) is None  # by chance, it may be
    # Of 7 alike finished trials out of many, the corrected tau is far lower than their own.
    assert warning_of([RankCorrelation(2, -0.73, 7, 1.0, 89, 3.0)]) is None
    assert warning_of([RankCorrelation(2, -0.73, 70, 1.0, 89, 3.0)]) is not None
    text = warning_of([RankCorrelation(5, 0.1, 40), RankCorrelation(15, 0.2, 60)])
    assert "at epoch 15 the order of 60 trials" in text


@pytest.mark.parametrize(("grace", "factor", "last"), [(5, 3, 60), (5, 2.5, 100), (4, 3, 30)])
def test_epochs_are_the_rungs_of_the_scheduler(grace, factor, last):
    settings = HyperbandSettings(grace_period=grace, reduction_factor=float(factor))
    _, scheduler = settings.make(SchedulerContext(metric="v", max_epochs=last, n_trials=30))
    rungs = {
        math.ceil(rung[0])
        for bracket in scheduler.rule.rules[None]._brackets
        for rung in bracket._rungs
    }
    assert set(settings.decision_epochs(last)) == {rung for rung in rungs if rung < last}


def test_epochs_of_the_other_rules():
    assert NoneSettings().decision_epochs(100) == []
    assert MedianSettings(grace_period=10).decision_epochs(50) == [10, 20, 40]
    assert AshaSettings(grace_period=10).decision_epochs(10) == []


class TestShareOfTheData:
    SWEEP: ClassVar = {
        "scheduler": {
            "kind": "asha",
            "grace_period": 2,
            "reduction_factor": 2.0,
            "fidelity": "data",
        },
        "search": {"algorithm": "random"},
        "num_trials": 12,
        "max_concurrent": 1,
    }
    TRAINING: ClassVar = {"n_iter": 12, "eval_every": 2}

    def test_shares_grow_at_the_rungs(self, small_study):
        settings = small_study(self.SWEEP, training=self.TRAINING)
        growth = make_plan(settings).base.training.growth
        rungs = settings.sweep.scheduler.decision_epochs(12)
        assert rungs == [2, 4, 8]
        assert [growth.at(epoch) for epoch in rungs] == [0.125, 0.25, 0.5]
        assert [growth.at(epoch + 1) for epoch in rungs] == [0.25, 0.5, 1.0]
        assert growth.at(12) == 1.0
        assert make_plan(settings).base.training.growth == growth

    def test_fewer_epochs_than_the_grace_period(self, small_study):
        settings = small_study(self.SWEEP, training={"n_iter": 2})
        assert make_plan(settings).base.training.growth is None

    @pytest.mark.parametrize(
        ("scheduler", "training", "message"),
        [
            (
                {"kind": "median"},
                {},
                "median has no such setting.* fidelity belongs to kind asha and hyperband",
            ),
            ({}, {"growth": {"share": 0.1, "epochs": 2, "factor": 2.0}}, "training.growth, which"),
        ],
    )
    def test_refused(self, small_study, scheduler, training, message):
        sweep = self.SWEEP | {"scheduler": self.SWEEP["scheduler"] | scheduler}
        with pytest.raises(ValueError, match=message):
            small_study(sweep, training=training)

    def test_words(self):
        assert RankCorrelation(5, 0.1, 9, 0.111).place == "epoch 5 on 11 % of the data"
        warning = warning_of([RankCorrelation(5, 0.1, 90, 0.111)])
        assert warning.startswith("at epoch 5 on 11 % of the data the order of 90 trials")

    @pytest.mark.ray
    @pytest.mark.usefixtures("shared_ray", "tracking_uri")
    def test_a_study(self, small_study, tmp_path):
        settings = small_study(self.SWEEP, training=self.TRAINING)
        result = run_study(settings, progress=False)
        assert [(each.epoch, each.data_share) for each in result.early] == [
            (2, 0.125),
            (4, 0.25),
            (8, 0.5),
        ]
        with sqlite3.connect(tmp_path / "mlflow.db") as database:
            rows = database.execute(
                "select name, step, value from metrics join runs using (run_uuid) "
                "where key = 'train/data_share'"
            ).fetchall()
        shares = {2: 0.125, 4: 0.25, 6: 0.5, 8: 0.5, 10: 1.0, 12: 1.0}
        assert {(step, value) for _, step, value in rows} == set(shares.items())
        for trial in result.trials:
            own = {step for name, step, _ in rows if name == f"trial-{trial.number:03d}"}
            assert own == {step for step in shares if step <= trial.epochs}
        summary = json.loads((result.folder / "summary.json").read_text())
        assert [each["data_share"] for each in summary["findings"]["early"]] == [0.125, 0.25, 0.5]

        settings = with_values(make_plan(settings).base, result.best.values)
        reports = list(Trainer(load_data(settings.data), settings))
        alone = max(r.metrics[result.metric] for r in reports if r.metrics)
        assert alone == result.best.value
