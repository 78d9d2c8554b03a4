"""What every baseline of the table must do."""

import dataclasses

import numpy as np
import pytest

from hbpr.baselines import BASELINES, Ease
from hbpr.baselines.choose import choose_baselines, choose_values
from hbpr.data import load_data
from hbpr.evaluation import evaluate_part
from hbpr.settings.models import DataSettings, SyntheticSettings, TrainingSettings

SYNTHETIC = SyntheticSettings(n_users=80, n_items=60, n_shown=20)
TRAINING = TrainingSettings(top_k=(10,))


@pytest.fixture(scope="module", name="data")
def _data():
    return load_data(DataSettings(source="synthetic", synthetic=SYNTHETIC))


@pytest.mark.parametrize("name", list(BASELINES))
class TestContract:
    def test_every_point_of_its_grid_scores_the_catalogue(self, name, data):
        baseline = BASELINES[name]
        assert baseline.label
        assert len(baseline.grid) > 0
        for values in baseline.grid:
            scores = baseline.fit(data.train, **values).block_scorer()(np.arange(5))
            assert scores.shape == (5, data.n_items)
            assert scores.dtype == np.float32
            assert np.isfinite(scores).all()

    def test_fits_again_to_the_same(self, name, data):
        chosen = {each.name: each for each in choose_baselines(data, TRAINING)}[name]
        one, two = (evaluate_part(chosen.fit(data.train), data, "val", (10,)) for _ in range(2))
        assert one.metrics == two.metrics

    def test_is_left_out_with_a_reason_or_not_at_all(self, name, data):
        assert BASELINES[name].left_out(data) is None


def test_validation_chooses_the_best_point_of_the_grid(data):
    values = {
        tuple(point.items()): evaluate_part(
            Ease.fit(data.train, **point), data, "val", (10,)
        ).metrics[TRAINING.monitor]
        for point in BASELINES["ease"].grid
    }
    chosen = choose_values(BASELINES["ease"], [data], TRAINING)
    assert tuple(chosen.items()) == max(values, key=values.__getitem__)


def test_ease_is_left_out_above_its_size(data, monkeypatch, caplog):
    monkeypatch.setattr("hbpr.baselines.ease._MOST_ITEMS", 59)
    with caplog.at_level("INFO"):
        assert [each.name for each in choose_baselines(data, TRAINING)] == ["popularity"]
    assert "EASE is left out: 60 items, and above 59" in caplog.text


def test_labels_are_distinct():
    labels = [each.label for each in BASELINES.values()]
    assert len(set(labels)) == len(labels)
    assert {f.name for f in dataclasses.fields(BASELINES["ease"])} >= {"label", "fit", "grid"}
