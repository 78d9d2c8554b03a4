"""Experiments that other tools wrote, by these tools themselves as far as they are installed."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pytest

from dashboards import MLflowPlotter
from dashboards.kinds import KINDS
from hbpr.errors import ConfigError


@pytest.fixture
def tracked(lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MLflowPlotter]:
    """MLflow's own functions write where the plotter reads."""
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(lab.uri)
    yield MLflowPlotter(lab.uri)
    mlflow.set_tracking_uri(before)


def record(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Write a trial as `optuna_integration.MLflowCallback` does, which is not for this Optuna."""
    mlflow.set_experiment(study.study_name)
    directions = [each.name for each in study.directions]
    tags = {
        "number": str(trial.number),
        "datetime_start": str(trial.datetime_start),
        "datetime_complete": str(trial.datetime_complete),
        "state": trial.state.name,
        "direction": directions if len(directions) > 1 else directions[0],
    } | {f"{name}_distribution": str(each) for name, each in trial.distributions.items()}
    with mlflow.start_run(run_name=str(trial.number)):
        values = trial.values or []
        names = ["value"] if len(values) == 1 else [f"value_{i}" for i in range(len(values))]
        mlflow.log_metrics(dict(zip(names, values, strict=True)))
        mlflow.log_params(trial.params)
        mlflow.set_tags(tags)


def every_kind(plotter: MLflowPlotter, experiment: str) -> list[str]:
    """Draw all kinds; return those that have nothing to draw and say so."""
    left_out = []
    for kind in KINDS:
        try:
            plotter.plot(kind, experiment).to_matplotlib().draw_without_rendering()
        except ConfigError:
            left_out.append(kind)
    return left_out


def test_a_study_that_optuna_records(tracked: MLflowPlotter, tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 1e-3, 1e2, log=True)
        kind = trial.suggest_categorical("kind", ["a", "b"])
        deep = trial.suggest_int("depth", 1, 9) if kind == "b" else 0
        if trial.number == 3:
            raise optuna.TrialPruned
        return (np.log10(x) - 0.5) ** 2 + 0.1 * deep

    study = optuna.create_study(study_name="by optuna", direction="minimize")
    study.optimize(objective, n_trials=12, callbacks=[record])
    runs = tracked.get_runs("by optuna")
    assert len(runs) == 12
    best = tracked.best_runs("by optuna", 1)
    assert best["run"].tolist() == [str(study.best_trial.number)], "less is better"
    assert best["value"].tolist() == [study.best_value]
    assert every_kind(tracked, "by optuna") == ["importance", "front", "seeds", "panel"]
    text = tracked.report("by optuna", tmp_path / "optuna.html").read_text()
    assert f"{study.best_trial.number} of single runs in by optuna is best" in text


def test_several_objectives_that_optuna_records(tracked: MLflowPlotter) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name="two", directions=["maximize", "minimize"])
    study.optimize(
        lambda trial: (x := trial.suggest_float("x", 0, 1), x**2), n_trials=5, callbacks=[record]
    )
    for name, best in (("value_0", max), ("value_1", min)):
        values = [trial.values[int(name[-1])] for trial in study.trials]
        found = tracked.best_runs("two", 1, metric=name)
        assert found[name].tolist() == [best(values)]


@pytest.mark.filterwarnings("ignore")
def test_what_autolog_of_scikit_learn_records(tracked: MLflowPlotter, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 3))
    labels = (features[:, 0] + 0.3 * rng.normal(size=80) > 0).astype(int)
    mlflow.set_experiment("by scikit-learn")
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        with mlflow.start_run(run_name="one"):
            LogisticRegression(C=0.5).fit(features, labels)
        with mlflow.start_run(run_name="grid"):
            GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}, cv=3).fit(features, labels)
    finally:
        mlflow.sklearn.autolog(disable=True)
    runs = tracked.get_runs("by scikit-learn")
    assert {"one", "grid"} <= set(runs["run"])
    assert len(runs) == 4, "and one for each point of the grid"
    assert runs["value"].notna().any()
    assert tracked.summary_table("by scikit-learn").index[0] == 1
    assert {"front", "importance", "seeds"} <= set(every_kind(tracked, "by scikit-learn"))
    tracked.report("by scikit-learn", tmp_path / "sklearn.html")
