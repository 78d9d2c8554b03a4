import json
import re
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dashboards import MLflowPlotter
from hbpr.data import load_data
from hbpr.errors import ClusterError, ConfigError, DataError, StudyError, TrackingError
from hbpr.inference.system import RecommendationSystem
from hbpr.tracking.records_json import as_json, from_json
from hbpr.tracking.store import open_client
from tune.storage import folder as folders
from tune.study import run_study
from tune.study.housekeeping import ForgetEnded
from tune.trial.trainable import HbprTrainable
from tune.warm_start.from_mlflow import read_recorded

#: Diverges within an epoch at the second learning rate.
POISONED = {
    "optimizer": {"name": "sgd"},
    "training": {"loss_function": "hinge_loss", "engine": "autograd", "batch_size": 16},
    "model": {"init_std": 10.0, "n_latent": 64},
}
HALVING = {
    "scheduler": {"kind": "asha", "grace_period": 2, "reduction_factor": 2},
    "num_trials": 6,
}


class TestBeforeRay:
    """Whatever can be refused is refused before Ray starts, and leaves no record."""

    @pytest.fixture(autouse=True)
    def _no_ray(self, monkeypatch):
        def refuse(*args, **kwargs):
            pytest.fail("Ray was started")

        monkeypatch.setattr("tune.study.run.ray_runtime", refuse)

    def test_an_empty_validation_part(self, small_study, runs) -> None:
        settings = small_study(data={"split": {"train": 0.9, "validation": 0.0}})
        with pytest.raises(DataError, match=r"the validation part .* raise data.split.validation"):
            run_study(settings, progress=False)
        assert runs() == {}

    def test_data_in_memory_beside_searched_data(self, small_study, runs) -> None:
        settings = small_study({"space": {"data.item_feature": ["both", "indicator"]}})
        data = load_data(settings.data)
        with pytest.raises(ConfigError, match=r"data\.\* is searched but .* in memory"):
            run_study(settings, data=data, progress=False)
        assert runs() == {}

    def test_a_storage_that_is_a_file(self, small_study, tmp_path: Path) -> None:
        (tmp_path / "taken").touch()
        with pytest.raises(ConfigError, match=r"sweep.storage: the folder .*taken/small"):
            run_study(small_study({"storage": str(tmp_path / "taken")}), progress=False)

    def test_a_tracking_server_that_is_away(self, small_study) -> None:
        settings = small_study(mlflow={"tracking_uri": "http://127.0.0.1:9"})
        with pytest.raises(TrackingError, match=r"127\.0\.0\.1:9"):
            run_study(settings, progress=False)

    def test_resuming_with_other_settings(self, small_study, tmp_path: Path, runs) -> None:
        before = small_study()
        folder = folders.create(before, {"as it was written then": "other data"})
        after = small_study({"num_trials": 3}, training={"n_iter": 7})
        with pytest.raises(StudyError) as error:
            run_study(after, progress=False, resume=folder.path)
        assert "  sweep.num_trials: was 4, is now 3\n" in str(error.value)
        assert "  training.n_iter: was 4, is now 7\n" in str(error.value)
        with pytest.raises(StudyError, match="other users, items or interactions"):
            run_study(before, progress=False, resume=folder.path)
        with pytest.raises(StudyError, match="not the folder of a study"):
            run_study(before, progress=False, resume=tmp_path)
        assert runs() == {}


def test_a_ray_that_does_not_start_leaves_nothing(small_study, monkeypatch, tmp_path: Path) -> None:
    def fail(*args, **kwargs):
        raise ClusterError("Ray did not start")

    monkeypatch.setattr("tune.study.run.ray_runtime", fail)
    with pytest.raises(ClusterError, match="did not start"):
        run_study(small_study(), progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory, study_in, shared_ray):
    """A study from its settings to its result, with one worker."""
    folder = tmp_path_factory.mktemp("whole")
    settings = study_in(folder, HALVING)
    return settings, run_study(settings, progress=False), folder


@pytest.mark.ray
@pytest.mark.usefixtures("shared_ray", "tracking_uri")
class TestStudy:
    def test_from_settings_to_a_recommender(self, whole, runs_in) -> None:
        settings, result, folder = whole
        assert [trial.number for trial in result.trials] == list(range(6))
        assert {trial.state for trial in result.trials} <= {"COMPLETE", "PRUNED"}
        complete = [trial for trial in result.trials if trial.state == "COMPLETE"]
        assert result.best == max(complete, key=lambda trial: trial.value)
        assert all(trial.epochs == 4 for trial in complete)

        words = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
        expected = {f"trial-{t.number:03d}": words[t.state] for t in result.trials}
        assert runs_in(folder) == expected | {f"study {result.study_id}": "FINISHED"}
        assert all(trial.run_id for trial in result.trials)

        assert result.validation_metrics[result.metric] == result.best.value
        assert result.validation_metrics == result.best.metrics, "of the journal"
        assert [each.name for each in result.baselines] == ["popularity", "ease"]
        for baseline in result.baselines:
            assert baseline.test.keys() <= result.test_metrics.keys()
            assert baseline.validation.keys() == result.validation_metrics.keys()
        assert result.system.evaluate("test") == pytest.approx(result.test_metrics)
        loaded = RecommendationSystem.load(result.model_folder)
        assert loaded.data.validation.n_pairs == 0
        users = loaded.data.user_ids[:3]
        assert loaded.recommend(users, k=5).equals(result.system.recommend(users, k=5))

        assert result.folder.parent == folder / "studies" / "small"
        summary = json.loads((result.folder / "summary.json").read_text())
        assert summary == as_json(result.record) == as_json(from_json(summary))
        assert summary["winner"]["test"] == result.test_metrics
        assert set(summary["origin"]["versions"]) >= {"hbpr", "torch", "ray", "optuna"}
        assert len(result) == len(list(result)) == 6
        assert f"best: trial {result.best.number}" in repr(result)
        frame = result.to_frame()
        assert frame["value"].tolist() == [trial.value for trial in result.trials]
        assert frame["run_id"].tolist() == [trial.run_id for trial in result.trials]
        assert set(settings.sweep.space) <= set(frame)
        assert not (result.folder / "checkpoints").exists()
        with pytest.raises(StudyError, match="has come to its result"):
            run_study(settings, progress=False, resume=result.folder)

    def test_same_seed_one_worker_same_study(self, small_study, whole) -> None:
        def told(result) -> object:
            trials = [(t.number, t.values, t.state, t.value, t.epochs) for t in result.trials]
            return trials, result.validation_metrics, result.test_metrics, result.baselines

        _, first, _ = whole
        assert told(run_study(small_study(HALVING), progress=False)) == told(first)

    def test_a_grid_over_data_and_model(self, small_study) -> None:
        space = {"data.item_feature": ["indicator", "both"], "model.n_latent": [4, 8]}
        sweep = {"search": {"algorithm": "grid"}, "space": space, "num_trials": None}
        result = run_study(small_study(sweep), progress=False)
        points = [tuple(trial.values.values()) for trial in result.trials]
        assert sorted(points) == [("both", 4), ("both", 8), ("indicator", 4), ("indicator", 8)]
        assert len({trial.value for trial in result.trials}) == 4
        best = result.best.values["data.item_feature"]
        assert result.system.settings.data.item_feature == best

    def test_data_in_memory_and_the_winner_of_train_alone(self, small_study) -> None:
        settings = small_study({"num_trials": 1, "final": {"refit": "none"}}, data={"name": "?"})
        data = load_data(small_study().data)
        result = run_study(settings, data=data, progress=False)
        assert result.system.data is data
        assert result.system.evaluate("val") == pytest.approx(result.validation_metrics)

    def test_another_scheduler(self, small_study, runs) -> None:
        sweep = {"scheduler": {"kind": "hyperband"}, "num_trials": 5}
        result = run_study(small_study(sweep), progress=False)
        assert len(result.trials) == 5
        assert result.best.epochs == 4
        assert "RUNNING" not in runs().values()

    @pytest.mark.parametrize("kind", ["none", "asha", "pbt"])
    def test_tune_looks_at_no_more_trials_late_than_early(
        self, small_study, runs, monkeypatch, kind
    ) -> None:
        held, forget = [], ForgetEnded.on_step_end

        def look(self, iteration, trials, **info) -> None:
            forget(self, iteration, trials, **info)
            held.append(len(trials))

        monkeypatch.setattr(ForgetEnded, "on_step_end", look)
        size = 4 if kind == "pbt" else 10  # a population waits for all its trials
        interval = {"interval": 2} if kind == "pbt" else {}
        sweep = {"scheduler": {"kind": kind} | interval, "num_trials": size}
        sweep["space"] = {"optimizer.lr": {"low": 0.01, "high": 0.5, "log": True}}
        result = run_study(small_study(sweep), progress=False)
        assert held[-1] == 1
        assert kind == "pbt" or max(held) <= 3  # one runs, one is next, one was the last to end
        assert len(result.trials) == size + (kind == "pbt")
        assert {trial.state for trial in result.trials} <= {"COMPLETE", "PRUNED"}
        assert {f"trial-{trial.number:03d}" for trial in result.trials} < runs().keys()
        assert "RUNNING" not in runs().values()

    def test_a_diverging_trial_fails_alone(self, small_study, runs) -> None:
        sweep = {"search": {"algorithm": "grid"}, "space": {"optimizer.lr": [0.05, 100.0]}}
        settings = small_study(sweep | {"num_trials": None}, **POISONED)
        result = run_study(settings, progress=False)
        assert [trial.state for trial in result.trials] == ["COMPLETE", "FAIL"]
        assert runs()["trial-001"] == "FAILED"

    def test_no_winner(self, small_study, runs) -> None:
        sweep = {"search": {"algorithm": "grid"}, "space": {"optimizer.lr": [99.0, 100.0]}}
        settings = small_study(sweep | {"num_trials": None}, **POISONED)
        with pytest.raises(StudyError, match=r"of 2 trials none .* DivergedError: epoch \d"):
            run_study(settings, progress=False)
        assert set(runs().values()) == {"FAILED"}

    def test_a_killed_process_costs_no_trial(self, small_study, runs) -> None:
        killed: list[int] = []
        killer = threading.Thread(target=_kill_one_trial, args=[killed])
        killer.start()
        settings = small_study({"num_trials": 1}, training={"n_iter": 1000, "eval_every": 20})
        result = run_study(settings, progress=False)
        killer.join()
        assert len(killed) == 1
        assert [(trial.state, trial.epochs) for trial in result.trials] == [("COMPLETE", 1000)]
        assert set(runs().values()) == {"FINISHED"}

    def test_a_bug_is_tried_again_then_told(self, small_study, monkeypatch, tmp_path: Path) -> None:
        def broken(self):
            with open(tmp_path / "steps", "a") as file:
                file.write("step\n")
            raise ValueError("boom")

        def of(cls, context, name):
            return type(name, (cls,), {"context": context, "step": broken})

        monkeypatch.setattr(HbprTrainable, "of", classmethod(of))
        with pytest.raises(StudyError, match=r"of 1 trial none .* ValueError: boom"):
            run_study(small_study({"num_trials": 1}), progress=False)
        assert (tmp_path / "steps").read_text().count("step") == 3
        with sqlite3.connect(tmp_path / "mlflow.db") as database:
            (error,) = database.execute("select value from tags where key = 'hbpr.error'")
        assert error == ("ValueError: boom",)

    def test_a_budget_ends_the_search_in_order(self, small_study, runs) -> None:
        sweep = {"num_trials": 50, "max_concurrent": 2, "budget": {"plateau": 3}}
        result = run_study(small_study(sweep), progress=False)
        assert result.ended == "sweep.budget.plateau: 3 trials without a new best value"
        assert len(result.trials) < 50
        assert {trial.state for trial in result.trials} <= {"COMPLETE", "PRUNED"}
        words = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
        expected = {f"trial-{t.number:03d}": words[t.state] for t in result.trials}
        assert runs() == expected | {f"study {result.study_id}": "FINISHED"}
        assert "Ended by sweep.budget.plateau" in (result.folder / "summary.txt").read_text()

        more = small_study(sweep | {"budget": {"plateau": 8}})
        again = run_study(more, progress=False, resume=result.folder)
        assert again.ended == "sweep.budget.plateau: 8 trials without a new best value"
        assert len(again.trials) > 8
        assert again.trials[: len(result.trials)] == result.trials
        assert set(runs().values()) <= {"FINISHED", "KILLED"}
        assert again.test_metrics

    def test_a_time_budget_without_a_finished_trial(self, small_study, runs) -> None:
        long = {"n_iter": 100_000, "eval_every": 5}
        sweep = {"num_trials": 2, "budget": {"wall_s": 3.0}}
        result = run_study(small_study(sweep, training=long), progress=False)
        assert result.ended == "sweep.budget.wall_s: trials ran for 3 s"
        assert {trial.state for trial in result.trials} == {"PRUNED"}
        assert result.best.value == max(t.value for t in result.trials if t.value is not None)
        assert runs().pop(f"study {result.study_id}") == "FINISHED"

    def test_finalists_are_compared_over_seeds(self, small_study, tmp_path: Path, runs) -> None:
        import mlflow
        import pandas as pd

        from hbpr.tracking.registry import load_system

        final = {"top": 2, "seeds": 3, "register_model": "always"}
        sweep = {"final": final, "num_trials": 8, "max_concurrent": 2}
        settings = small_study(sweep)
        result = run_study(settings, progress=False)
        first, second = result.finalists
        ranked = sorted(result.trials, key=lambda trial: -trial.value)
        assert {first.number, second.number} == {trial.number for trial in ranked[:2]}
        assert first.mean >= second.mean
        assert len(set(first.values)) == 3
        assert first.deviation > 0
        assert result.best.number == first.number
        assert result.validation_metrics[result.metric] == pytest.approx(first.mean)
        others = [comparison.other for comparison in result.comparisons]
        assert others == [f"trial {second.number}", "popularity", "EASE"]
        assert [each.label for each in result.baselines] == ["popularity", "EASE"]
        assert result.comparisons[0].difference == pytest.approx(first.mean - second.mean)
        assert not any(each.effects for each in result.importance.values()), "too few to say"
        page = (result.folder / "summary.html").read_text()
        assert f"Winner: trial {first.number}" in page
        assert "<script src" not in page
        assert str(result.folder) in page
        assert not (result.folder / "finals").exists()

        uri = settings.mlflow.tracking_uri
        expected_runs = {f"trial-{number:03d}" for number in range(8)}
        expected_runs |= {f"study {result.study_id}"}
        repeats = {f"repeat-{n.number:03d}-seed-{s}" for n in (first, second) for s in (1, 2, 3)}
        assert runs().keys() == expected_runs | repeats
        assert set(runs().values()) == {"FINISHED"}
        assert {trial.run_id for trial in result.trials} == {
            run.info.run_id for run in _search(uri, "tags.`hbpr.kind` = 'trial'")
        }
        again = _search(uri, f"tags.`hbpr.repeat_of` = '{first.number}'")
        bests = {run.data.tags["hbpr.seed"]: run.data.metrics["best/ndcg_at_10"] for run in again}
        assert bests == dict(zip("123", first.values, strict=True))
        view = json.loads(_experiment(uri).tags[f"mlflow.sharedViewState.{result.study_id}"])
        shown = _search(uri, json.loads(view["state"])["searchFilter"])
        assert {run.info.run_name for run in shown} == expected_runs
        (earlier,) = read_recorded("mlflow:small", uri, "start_from")
        assert len(earlier.trials) == 8
        trials = MLflowPlotter(uri).get_runs("small")
        assert len(trials) == 8
        assert trials["data"].nunique() == 1
        assert not trials["data"].iloc[0].startswith("data not recorded")

        assert result.registered == ("small", "1", "1", "")
        champion = load_system("models:/small@champion", uri)
        users = champion.data.user_ids[:2]
        expected = result.system.recommend(users, k=3)
        assert champion.recommend(users, k=3).equals(expected)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(uri)
        try:
            model = mlflow.pyfunc.load_model("models:/small@champion")
        finally:
            mlflow.set_tracking_uri(before)
        lists = model.predict(pd.DataFrame({"user": users, "k": 3}))
        assert lists["item"].tolist() == expected["item"].tolist()
        artifacts = [path.name for path in tmp_path.glob("mlruns/**/summary.html")]
        assert artifacts == ["summary.html"]

    def test_a_trial_that_hangs_is_started_again(
        self, small_study, monkeypatch, tmp_path: Path, runs
    ) -> None:
        step = HbprTrainable.step

        def hang_once(self):
            flag = tmp_path / "hung"
            if self._trainer.epoch and not flag.exists():
                flag.touch()
                time.sleep(3600)
            return step(self)

        def of(cls, context, name):
            return type(name, (cls,), {"context": context, "step": hang_once})

        monkeypatch.setattr(HbprTrainable, "of", classmethod(of))
        sweep = {"num_trials": 2, "faults": {"trial_timeout_s": 5.0}}
        result = run_study(small_study(sweep), progress=False)
        assert [trial.state for trial in result.trials] == ["COMPLETE", "COMPLETE"]
        notes = [
            "crashes of a trial's process made good: 1",
            "processes of trials that hung and were killed: 1",
        ]
        assert result.notes == notes
        assert set(runs().values()) == {"FINISHED"}
        more = small_study(sweep | {"num_trials": 3})
        assert run_study(more, progress=False, resume=result.folder).notes == notes

    @pytest.mark.slow
    def test_mlflow_stops_in_the_middle(self, small_study, server, runs) -> None:
        from hbpr.tracking.registry import load_system
        from tune.tracking.sync import sync

        server.start()
        settings = small_study(
            {"num_trials": 4, "final": {"register_model": "always"}},
            training={"n_iter": 200, "eval_every": 10},
            mlflow={"tracking_uri": server.uri},
        )
        stopper = threading.Thread(target=_stop_when, args=[server, runs, 3])
        stopper.start()
        started = time.monotonic()
        result = run_study(settings, progress=False)
        stopper.join()
        assert [trial.state for trial in result.trials] == ["COMPLETE"] * 4
        (note,) = result.notes
        assert re.match(r"MLflow did not answer for \d+ s; .* hbpr study sync ", note)
        assert result.times.wall_s <= time.monotonic() - started
        server.start()
        assert sync(result.folder)["left"] == 0
        champion = load_system("models:/small@champion", server.uri)
        assert champion.recommend(k=1).equals(result.system.recommend(k=1))
        assert set(runs().values()) == {"FINISHED"}
        assert len(runs()) == 5

    def test_a_trial_larger_than_any_node(self, small_study, runs) -> None:
        with pytest.raises(ClusterError, match=r"one trial needs CPU 64"):
            run_study(small_study({"resources": {"cpu": 64}}), progress=False)
        assert runs() == {}

    def test_data_arrive_without_a_copy(self, small_study) -> None:
        import ray

        data = load_data(small_study().data)

        @ray.remote
        def look(arrived):
            arrays = [arrived.train.items, arrived.train.indptr, arrived.item_features.values]
            return [(bool(a.flags.writeable), bool(a.flags.owndata)) for a in arrays], arrays[0]

        flags, items = ray.get(look.remote(ray.put(data)))
        assert flags == [(False, False)] * 3
        assert np.array_equal(items, data.train.items)


def _experiment(uri: str):
    experiment = open_client(uri).get_experiment_by_name("small")
    assert experiment is not None
    return experiment


def _search(uri: str, query: str):
    return open_client(uri).search_runs([_experiment(uri).experiment_id], query)


def _stop_when(server, runs, n_runs: int) -> None:
    """Stop the server once it holds some runs."""
    for _ in range(12_000):
        if len(runs()) >= n_runs:
            server.stop()
            return
        time.sleep(0.02)


def _kill_one_trial(killed: list[int]) -> None:
    """Kill the first trial that is found at work."""
    import psutil  # Ray's own copy

    for _ in range(12_000):
        for process in psutil.Process().children(recursive=True):
            try:
                at_work = any(word.startswith("ray::trial-") for word in process.cmdline())
            except psutil.Error:
                continue  # it ended while it was looked at
            if at_work:
                process.kill()
                killed.append(process.pid)
                return
        time.sleep(0.02)
