"""The trainer with models that are solved for."""

import logging

import numpy as np
import pytest

from hbpr.errors import ConfigError, DivergedError
from hbpr.pipeline import TrainingPipeline
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer, trainer
from tests.training.conftest import make_data

ALL = [(u, i) for u in range(12) for i in range(10) if (u + i) % 2 == 0]
HELD = [(u, (u + 2 * (u % 5)) % 10) for u in range(12)]
TRAIN = [pair for pair in ALL if pair not in HELD]


def settings_for(kind, **training):
    section = {"monitor": "val/ndcg_at_10", "early_stopping_patience": 0, **training}
    return TrialSettings.model_validate({"model": {"kind": kind}, "training": section})


def test_ials_stops_when_validation_no_longer_rises_and_keeps_its_best_pass():
    data = make_data(12, 10, TRAIN, validation=HELD)
    run = Trainer(data, settings_for("ials", early_stopping_patience=2))
    reports = list(run)
    assert len(reports) < 16
    assert reports[-1].stopped_early
    assert run.best_epoch == len(reports) - 2
    assert run.engine_name == "solve"


def test_a_checkpoint_goes_on_to_the_same(tmp_path):
    data = make_data(12, 10, TRAIN, validation=HELD)
    whole, half = (Trainer(data, settings_for("ials")) for _ in range(2))
    expected = list(whole)
    for _ in range(5):
        next(half)
    half.save(tmp_path)
    again = Trainer(data, settings_for("ials"))
    again.load(tmp_path)
    rest = list(again)
    assert [r.epoch for r in rest] == list(range(6, 17))
    assert rest[-1].loss == pytest.approx(expected[-1].loss)
    np.testing.assert_array_equal(again.best_model().U, whole.best_model().U)


@pytest.mark.parametrize("kind", ["ease", "ials"])
def test_what_is_left_aside_is_said_once(kind, caplog, monkeypatch):
    monkeypatch.setattr(trainer, "_SAID", set())
    data = make_data(12, 10, TRAIN, validation=HELD, negatives=[(0, 1), (1, 2)], features="both")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            Trainer(data, settings_for(kind, negatives={"kind": "observed"}, engine="fused"))
    assert [record.message for record in caplog.records if record.levelno == logging.INFO] == [
        f"model.kind {kind} is solved for: optimizer and the loss, negatives, engine, growth, "
        "n_iter and eval_every of training do not matter to it",
        f"made: model.kind {kind} does not look at 2 observed negatives, features of users and "
        "items",
    ]


def test_data_do_not_grow_under_a_model_that_is_solved():
    data = make_data(12, 10, TRAIN, validation=HELD)
    growth = {"share": 0.2, "epochs": 1, "factor": 2.0}
    grown, plain = (
        list(Trainer(data, settings_for("ease", **more))) for more in ({"growth": growth}, {})
    )
    assert grown[0].metrics == plain[0].metrics
    assert grown[0].data_share is None


class TestChangedKind:
    @pytest.mark.parametrize("kind", ["neumf", "ease", "ials"])
    def test_defaults_that_the_new_kind_lacks_are_left_out(self, kind):
        config = TrainingPipeline.create_default_config()
        config["model"]["kind"] = kind
        assert TrainingPipeline(config).settings.model.kind == kind

    def test_a_value_that_was_written_is_refused(self):
        config = TrainingPipeline.create_default_config()
        config["model"] |= {"kind": "neumf", "temperature": 0.1}
        with pytest.raises(ConfigError, match=r"model.temperature: kind neumf has no such setting"):
            TrainingPipeline(config)

    def test_the_same_holds_for_negatives(self):
        config = TrainingPipeline.create_default_config()
        config["training"]["negatives"]["kind"] = "all"
        assert TrainingPipeline(config).settings.training.negatives.kind == "all"


@pytest.mark.parametrize(
    ("kind", "advice"), [("ease", "raise model.regularisation"), ("ials", "raise model.scaled_l2")]
)
def test_one_that_diverges_is_not_told_of_a_learning_rate(kind, advice, monkeypatch):
    run = Trainer(make_data(12, 10, TRAIN, validation=HELD), settings_for(kind))
    monkeypatch.setattr(run._engine, "train_epoch", lambda lr: float("nan"))
    with pytest.raises(DivergedError) as caught:
        next(run)
    assert str(caught.value) == f"epoch 1: the loss became nan; {advice}"
