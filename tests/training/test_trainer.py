"""The loop over epochs: reports, early stopping, the best state, checkpoints, divergence."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hbpr.data.interactions import UserItems
from hbpr.errors import DataError, DivergedError, EngineError, HbprError
from hbpr.evaluation import evaluate
from hbpr.models.base import parameters_as_arrays
from hbpr.settings.models import OptimizerSettings
from hbpr.training import EpochReport, Trainer
from hbpr.training.engine import learning_rate
from hbpr.training.losses import LOSSES

both_engines = pytest.mark.parametrize("engine", ["fused", "autograd"])


def _ndcg(trainer: Trainer, model: Any) -> float:
    found = evaluate(
        model, trainer.data.validation, exclude=trainer.data.train, top_k=(10,), part="val"
    )
    return found.metrics["val/ndcg_at_10"]


def _without_times(reports: list[EpochReport]) -> list[EpochReport]:
    return [dataclasses.replace(report, train_s=0.0, eval_s=0.0) for report in reports]


def _assert_same_weights(a: Any, b: Any) -> None:
    for name, value in parameters_as_arrays(a).items():
        np.testing.assert_array_equal(value, parameters_as_arrays(b)[name], err_msg=name)


@pytest.fixture
def overfit(synthetic, settings_of):
    """A trainer whose validation metric rises, and then falls for good."""

    def make(engine: str = "fused", **training: Any) -> Trainer:
        settings = settings_of(
            model={"n_latent": 32},
            optimizer={"lr": 0.3, "reg_user": 0.0, "reg_positive": 0.0, "reg_negative": 0.0},
            training={
                "engine": engine,
                "n_iter": 60,
                "eval_every": 1,
                "early_stopping_patience": 4,
            }
            | training,
        )
        return Trainer(synthetic(), settings)

    return make


GROWTH = {"share": 0.25, "epochs": 2, "factor": 2.0}


class TestGrowth:
    """Shares of the training positives: a quarter to epoch 2, half to epoch 4, then all."""

    @both_engines
    def test_an_epoch_visits_its_share(self, synthetic, settings_of, engine: str) -> None:
        data = synthetic()
        settings = settings_of(
            training={"engine": engine, "n_iter": 6, "eval_every": 1, "growth": GROWTH}
        )
        reports = list(Trainer(data, settings))
        seed = settings.training.seed
        shares = [0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
        assert [r.data_share for r in reports] == shares
        assert [r.n_positives for r in reports] == [
            data.train.thinned(share, seed).n_pairs for share in shares
        ]
        assert [r.as_result()["train/data_share"] for r in reports] == shares
        first = Trainer(data.thinned(0.25, seed), settings_of(training={"engine": engine}))
        assert next(first).loss == reports[0].loss

    @both_engines
    @pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
    def test_a_checkpoint_goes_on_alike(
        self, synthetic, settings_of, tmp_path: Path, engine: str, stop: int
    ) -> None:
        settings = settings_of(
            training={"engine": engine, "n_iter": 6, "eval_every": 1, "growth": GROWTH}
        )
        whole, begun = Trainer(synthetic(), settings), Trainer(synthetic(), settings)
        reports = list(whole)
        for _ in range(stop):
            next(begun)
        begun.save(tmp_path)
        again = Trainer(synthetic(), settings)
        again.load(tmp_path)
        assert _without_times(list(again)) == _without_times(reports[stop:])
        _assert_same_weights(again.model, whole.model)

    def test_without_growth_nothing_is_said_of_it(self, synthetic, settings_of) -> None:
        report = next(Trainer(synthetic(), settings_of()))
        assert report.data_share is None
        assert "train/data_share" not in report.as_result()


class TestReports:
    @both_engines
    def test_one_an_epoch_until_the_last(self, synthetic, settings_of, engine: str) -> None:
        trainer = Trainer(synthetic(), settings_of(training={"engine": engine, "n_iter": 4}))
        reports = list(trainer)
        assert [r.epoch for r in reports] == [1, 2, 3, 4]
        assert [r.done for r in reports] == [False, False, False, True]
        assert not any(r.stopped_early for r in reports)
        assert all(r.train_s > 0 for r in reports)
        assert all(r.n_positives == synthetic().train.n_pairs for r in reports)
        assert trainer.epoch == 4
        with pytest.raises(StopIteration):
            next(trainer)

    @pytest.mark.parametrize(
        ("eval_every", "n_iter", "evaluated"),
        [(1, 3, [1, 2, 3]), (3, 7, [3, 6, 7]), (3, 6, [3, 6]), (9, 4, [4])],
    )
    def test_validation_is_evaluated_when_due_and_at_the_end(
        self, synthetic, settings_of, eval_every: int, n_iter: int, evaluated: list[int]
    ) -> None:
        training = {"eval_every": eval_every, "n_iter": n_iter, "top_k": [5, 10]}
        reports = list(Trainer(synthetic(), settings_of(training=training)))
        assert [r.epoch for r in reports if r.metrics] == evaluated
        assert {"val/ndcg_at_5", "val/ndcg_at_10", "val/auc"} <= reports[-1].metrics.keys()
        assert all(
            r.best_value is None and r.best_epoch == 0 for r in reports if r.epoch < min(evaluated)
        )

    def test_results_hold_what_is_recorded(self, synthetic, settings_of) -> None:
        report = next(Trainer(synthetic(), settings_of(training={"eval_every": 1})))
        result = report.as_result()
        assert result["train/loss"] == report.loss
        assert result["time/train_s"] == report.train_s
        assert result["time/eval_s"] == report.eval_s > 0
        assert result["val/ndcg_at_10"] == report.metrics["val/ndcg_at_10"]

    def test_metrics_are_those_of_the_model(self, synthetic, settings_of) -> None:
        trainer = Trainer(synthetic(), settings_of(training={"eval_every": 1}))
        report = next(trainer)
        assert report.metrics["val/ndcg_at_10"] == _ndcg(trainer, trainer.model)
        assert trainer.last_metrics == report.metrics

    def test_the_test_part_is_not_read(self, synthetic, settings_of) -> None:
        data = synthetic()
        without = dataclasses.replace(data, test=UserItems.empty(data.n_users, data.n_items))
        reports = [list(Trainer(d, settings_of())) for d in (data, without)]
        assert _without_times(reports[0]) == _without_times(reports[1])

    @both_engines
    def test_global_random_state_plays_no_part(self, synthetic, settings_of, engine: str) -> None:
        losses = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            losses.append(
                [r.loss for r in Trainer(synthetic(), settings_of(training={"engine": engine}))]
            )
        assert losses[0] == losses[1]

    @both_engines
    def test_validation_rises_above_chance(self, synthetic, settings_of, engine: str) -> None:
        settings = settings_of(training={"engine": engine, "n_iter": 12, "eval_every": 12})
        trainer = Trainer(synthetic(), settings)
        before = _ndcg(trainer, trainer.model)
        *_, last = trainer
        assert last.metrics["val/ndcg_at_10"] > 1.5 * before


class TestEarlyStopping:
    @both_engines
    def test_stops_when_patience_is_over(self, overfit, engine: str) -> None:
        trainer = overfit(engine)
        reports = list(trainer)
        values = [r.metrics["val/ndcg_at_10"] for r in reports]
        best = int(np.argmax(values)) + 1
        assert reports[-1].stopped_early
        assert reports[-1].done
        assert reports[-1].epoch == best + 4 < 60
        assert (trainer.best_epoch, trainer.best_value) == (best, max(values))
        for report, value in zip(reports, values, strict=True):
            so_far = values[: report.epoch]
            assert report.best_value == max(so_far)
            assert report.best_epoch == so_far.index(max(so_far)) + 1
            assert (
                report.is_best
                == (report.best_epoch == report.epoch)
                == (value > max([0, *so_far[:-1]]))
            )
        with pytest.raises(StopIteration):
            next(trainer)

    def test_patience_counts_evaluations(self, overfit) -> None:
        reports = list(overfit(eval_every=3, early_stopping_patience=2))
        assert reports[-1].stopped_early
        assert reports[-1].epoch == reports[-1].best_epoch + 6

    def test_further_evaluations_do_not_use_patience_up(self, overfit, tmp_path) -> None:
        plain = overfit(eval_every=3, early_stopping_patience=2)
        looked = Trainer(plain.data, plain.settings, evaluate_at=range(1, 60))
        for _ in range(4):
            next(looked)
        looked.save(tmp_path)
        resumed = Trainer(plain.data, plain.settings, evaluate_at=range(1, 60))
        resumed.load(tmp_path)
        last = list(plain)[-1]
        assert last.stopped_early
        for trainer in (looked, resumed):
            report = list(trainer)[-1]
            assert (report.epoch, report.stopped_early) == (last.epoch, True)
            assert report.best_value >= last.best_value

    def test_without_patience_it_goes_on(self, overfit) -> None:
        reports = list(overfit(early_stopping_patience=0, n_iter=30))
        assert reports[-1].epoch == 30
        assert not reports[-1].stopped_early

    def test_the_last_epoch_is_not_an_early_stop(self, overfit) -> None:
        stopped = list(overfit())[-1].epoch
        last = list(overfit(n_iter=stopped))[-1]
        assert (last.epoch, last.done, last.stopped_early) == (stopped, True, False)

    def test_another_metric_may_decide(self, overfit) -> None:
        trainer = overfit(monitor="val/auc")
        values = [r.metrics["val/auc"] for r in trainer]
        assert trainer.best_value == max(values)


class TestBestModel:
    @both_engines
    def test_has_the_best_epochs_weights_not_the_last(self, overfit, engine: str) -> None:
        trainer = overfit(engine)
        reports = list(trainer)
        last = reports[-1].metrics["val/ndcg_at_10"]
        assert _ndcg(trainer, trainer.best_model()) == trainer.best_value > last
        assert _ndcg(trainer, trainer.model) == last

    def test_is_a_copy(self, overfit) -> None:
        trainer, undisturbed = overfit(), overfit()
        for _ in range(3):
            next(trainer), next(undisturbed)
        with torch.no_grad():
            trainer.best_model().U.zero_()
        assert trainer.best_model().U.any()
        assert next(trainer).loss == next(undisturbed).loss

    def test_before_the_first_epoch_is_the_model_itself(self, overfit) -> None:
        trainer = overfit()
        _assert_same_weights(trainer.best_model(), trainer.model)


class TestWithoutValidation:
    @pytest.fixture
    def trainer(self, synthetic, settings_of) -> Trainer:
        data = synthetic()
        none = UserItems.empty(data.n_users, data.n_items)
        settings = settings_of(
            training={"n_iter": 5, "eval_every": 1, "early_stopping_patience": 1}
        )
        return Trainer(dataclasses.replace(data, validation=none), settings)

    def test_all_epochs_run_and_the_last_is_the_best(self, trainer: Trainer) -> None:
        reports = list(trainer)
        assert [r.epoch for r in reports] == [1, 2, 3, 4, 5]
        assert all(r.metrics == {} and r.is_best and r.best_value is None for r in reports)
        assert trainer.best_epoch == 5
        _assert_same_weights(trainer.best_model(), trainer.model)


class TestCheckpoints:
    @both_engines
    @pytest.mark.parametrize("after", [1, 4, 7])
    def test_training_goes_on_as_if_never_stopped(
        self, overfit, tmp_path: Path, engine: str, after: int
    ) -> None:
        whole, first, second = overfit(engine), overfit(engine), overfit(engine)
        expected = list(whole)
        assert len(expected) >= 8
        reports = [next(first) for _ in range(after)]
        first.save(tmp_path / "new" / "folder")
        next(second)
        second.load(tmp_path / "new" / "folder")
        assert second.epoch == after
        assert second.last_metrics == first.last_metrics
        _assert_same_weights(second.best_model(), first.best_model())
        reports += list(second)
        assert _without_times(reports) == _without_times(expected)
        _assert_same_weights(second.best_model(), whole.best_model())
        _assert_same_weights(second.model, whole.model)

    def test_the_best_state_outlives_the_epochs_after_it(self, overfit, tmp_path: Path) -> None:
        trainer = overfit()
        list(trainer)
        trainer.save(tmp_path)
        loaded = overfit()
        loaded.load(tmp_path)
        assert _ndcg(loaded, loaded.best_model()) == loaded.best_value == trainer.best_value
        assert list(loaded) == []

    def test_a_later_save_replaces_an_earlier_one(self, overfit, tmp_path: Path) -> None:
        trainer = overfit()
        for _ in range(2):
            next(trainer)
            trainer.save(tmp_path)
        loaded = overfit()
        loaded.load(tmp_path)
        assert loaded.epoch == 2
        assert sorted(p.name for p in tmp_path.iterdir()) == ["state.json", "state.npz"]

    def test_no_pickled_objects(self, overfit, tmp_path: Path) -> None:
        trainer = overfit("autograd")
        next(trainer)
        trainer.save(tmp_path)
        with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)

    def test_a_folder_that_holds_none(self, overfit, tmp_path: Path) -> None:
        with pytest.raises(HbprError, match="not a whole checkpoint"):
            overfit().load(tmp_path)

    def test_a_broken_file(self, overfit, tmp_path: Path) -> None:
        trainer = overfit()
        trainer.save(tmp_path)
        whole = (tmp_path / "state.npz").read_bytes()
        for broken in (whole[:200], whole[: len(whole) // 2], b"", b"no zip"):
            (tmp_path / "state.npz").write_bytes(broken)
            with pytest.raises(HbprError, match="not a whole checkpoint"):
                trainer.load(tmp_path)

    def test_another_version(self, overfit, tmp_path: Path) -> None:
        trainer = overfit()
        trainer.save(tmp_path)
        numbers = json.loads((tmp_path / "state.json").read_text())
        (tmp_path / "state.json").write_text(json.dumps(numbers | {"version": 99}))
        with pytest.raises(HbprError, match="version must be 1, got 99"):
            trainer.load(tmp_path)

    def test_a_checkpoint_of_the_other_engine(self, overfit, tmp_path: Path) -> None:
        overfit("fused").save(tmp_path)
        with pytest.raises(HbprError, match=r"of the engine fused, .* autograd"):
            overfit("autograd").load(tmp_path)


class TestDivergence:
    @both_engines
    @pytest.mark.parametrize("features", ["indicator", "both"])
    @pytest.mark.parametrize("loss", list(LOSSES))
    @pytest.mark.parametrize("negatives", [{}, {"kind": "adaptive", "hardest_of": 2}], ids=str)
    def test_is_told_with_epoch_and_learning_rate(
        self, synthetic, settings_of, engine: str, features: str, loss: str, negatives: dict
    ) -> None:
        settings = settings_of(
            model={"init_std": 10.0},
            # weights grow 99 times a step, however small the loss has become
            optimizer={"name": "sgd", "lr": 100.0}
            | dict.fromkeys(("reg_user", "reg_positive", "reg_negative", "reg_bias"), 1.0),
            training={
                "engine": engine,
                "loss_function": loss,
                "negatives": negatives,
                "n_iter": 200,
                "eval_every": 1,
                "early_stopping_patience": 0,
            },
        )
        trainer = Trainer(synthetic(features), settings)
        with pytest.raises(DivergedError) as caught:
            list(trainer)
        message = str(caught.value)
        assert f"epoch {trainer.epoch}:" in message
        assert "learning rate 100;" in message
        assert "lower optimizer.lr" in message
        with pytest.raises(StopIteration):
            next(trainer)

    def test_that_the_loss_does_not_show_is_told_too(self, synthetic, settings_of) -> None:
        """Weights that become NaN after the epoch's loss was summed."""
        trainer = Trainer(synthetic(), settings_of(training={"eval_every": 1}))
        whole = trainer._engine.train_epoch

        def spoil(lr: float) -> float:
            loss = whole(lr)
            with torch.no_grad():
                trainer.model.V[3] = float("nan")
            return loss

        trainer._engine.train_epoch = spoil  # type: ignore[method-assign]
        with pytest.raises(DivergedError, match=r"epoch 1: .* learning rate 0.1; lower optimizer"):
            next(trainer)


class TestBadInput:
    def test_an_empty_training_part(self, data_of, settings_of) -> None:
        with pytest.raises(DataError, match="the training part has no positive interactions"):
            Trainer(data_of(3, 4, []), settings_of())

    def test_an_engine_that_does_not_fit(self, synthetic, settings_of) -> None:
        settings = settings_of(optimizer={"name": "adam"}, training={"engine": "fused"})
        with pytest.raises(EngineError, match="adam"):
            Trainer(synthetic(), settings)

    def test_the_engine_is_named_with_its_reason(self, synthetic, settings_of) -> None:
        trainer = Trainer(synthetic(), settings_of(optimizer={"name": "adam"}))
        assert trainer.engine_name == "autograd"
        assert "adam" in trainer.engine_reason


class TestLearningRate:
    def test_constant(self) -> None:
        settings = OptimizerSettings(lr=0.3)
        assert [learning_rate(settings, e, 5) for e in (1, 3, 5)] == [0.3] * 3

    def test_inverse_time(self) -> None:
        settings = OptimizerSettings(lr=0.3, schedule="inverse_time", decay=0.5)
        assert [learning_rate(settings, e, 5) for e in (1, 3, 5)] == pytest.approx([0.3, 0.15, 0.1])

    def test_cosine_falls_from_lr_towards_zero(self) -> None:
        settings = OptimizerSettings(lr=0.3, schedule="cosine")
        rates = [learning_rate(settings, e, 10) for e in range(1, 11)]
        assert rates[0] == 0.3
        assert rates[5] == pytest.approx(0.15)
        assert (np.diff(rates) < 0).all()
        assert 0 < rates[-1] < 0.01

    @both_engines
    @pytest.mark.parametrize("name", ["sgd", "adagrad"])
    def test_the_schedule_reaches_the_engine(
        self, synthetic, settings_of, engine: str, name: str
    ) -> None:
        optimizer = {"name": name, "lr": 0.1, "schedule": "inverse_time", "decay": 1000.0}
        trainer = Trainer(
            synthetic(), settings_of(optimizer=optimizer, training={"engine": engine})
        )
        steps = []
        for _ in range(2):
            before = parameters_as_arrays(trainer.model)["V"]
            next(trainer)
            steps.append(np.abs(parameters_as_arrays(trainer.model)["V"] - before).mean())
        assert 0 < steps[1] < 0.01 * steps[0]
