"""Warm starts from earlier studies that only MLflow still knows."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hbpr.errors import ConfigError, SpaceError, TrackingError
from hbpr.tracking.records import TrialRecord
from tune.search.searcher import OptunaSearcher
from tune.settings import StudySettings, make_plan
from tune.storage.folder import create
from tune.storage.trials import read_journal
from tune.tracking.recorder import MlflowRecorder
from tune.warm_start.earlier import read_beginning
from tune.warm_start.from_mlflow import read_recorded

METRIC = "val/ndcg_at_10"
SPACE: dict[str, Any] = {
    "optimizer.lr": {"low": 0.001, "high": 1.0, "log": True},
    "training.loss_function": ["bpr_loss", "warp_loss"],
    "model.kind": ["mf", "neumf"],
    "model.hidden": {"choices": [[8], [16, 8]], "when": {"model.kind": "neumf"}},
    "training.negatives.hardest_of": {"low": 1, "high": 8, "when": {"model.kind": "mf"}},
}


@pytest.fixture
def recorded(tmp_path: Path, tracking_uri: str) -> Callable[..., tuple[str, list[TrialRecord]]]:
    """Record a study of random trials in MLflow, and remove its folder."""

    def build(count: int = 9, seed: int = 0, **sections: Any) -> tuple[str, list[TrialRecord]]:
        settings = study(tracking_uri, tmp_path, seed=seed, **sections)
        space = make_plan(settings).space
        folder = create(settings, {})
        searcher = OptunaSearcher(
            space,
            folder.path,
            goals=settings.sweep.goals(),
            num_trials=count,
            algorithm="random",
            seed=seed,
        )
        for i in range(count):
            lr = searcher.suggest(f"ray{i}")["values"]["optimizer.lr"]
            done = {"epoch": 5, settings.sweep.metric: -abs(lr - 0.1), "finished": i % 3 != 2}
            searcher.on_trial_complete(f"ray{i}", done)
        trials = read_journal(folder.path, space)
        recorder = MlflowRecorder(
            folder.path,
            tracking_uri=tracking_uri,
            experiment_name="films",
            study_id=folder.study_id,
            settings=settings.model_dump(mode="json"),
            monitor=settings.sweep.metric,
        )
        recorder.open()
        recorder.catch_up(trials)
        assert recorder.finish(timeout_s=60)
        shutil.rmtree(folder.path)
        return folder.study_id, trials

    return build


def study(uri: str, above: Path, *, seed: int = 0, **sections: Any) -> StudySettings:
    sweep = {"space": SPACE, "storage": str(above), "search": {"seed": seed}}
    sweep |= sections.pop("sweep", {})
    tracking = {"tracking_uri": uri, "experiment_name": "films"}
    return StudySettings.model_validate({**sections, "mlflow": tracking, "sweep": sweep})


def test_records_are_read_as_the_journal_would_be(recorded, tracking_uri: str) -> None:
    study_id, trials = recorded()
    (found,) = read_recorded(f"mlflow:films/{study_id}", tracking_uri, "here")
    told = [(t.number, t.values, t.state, t.value) for t in found.trials]
    assert told == [(t.number, t.values, t.state, t.value) for t in trials]
    assert {t.state for t in found.trials} == {"COMPLETE", "PRUNED"}
    assert found.plan.settings.sweep.space.keys() == SPACE.keys()


def test_the_best_of_an_experiment_and_all_finished_ones(
    recorded, tracking_uri: str, tmp_path: Path
) -> None:
    both = [recorded(seed=seed) for seed in (1, 2)]
    complete = [t for _, trials in both for t in trials if t.state == "COMPLETE"]
    best = {"best": {"study": "mlflow:films", "k": 3}}
    settings = study(
        tracking_uri, tmp_path, sweep={"start_with": [best], "start_from": ["mlflow:films"]}
    )
    beginning = read_beginning(make_plan(settings))
    wanted = sorted(complete, key=lambda trial: -trial.value)[:3]
    assert list(beginning.points) == [trial.values for trial in wanted]
    assert [t.value for t in beginning.earlier] == sorted(t.value for t in complete)
    assert {t.study for t in beginning.earlier} == {f"mlflow:films/{name}" for name, _ in both}
    one = study(tracking_uri, tmp_path, sweep={"start_from": [f"mlflow:films/{both[0][0]}"]})
    earlier = read_beginning(make_plan(one)).earlier
    assert len(earlier) == sum(t.state == "COMPLETE" for t in both[0][1])
    searcher = OptunaSearcher(
        make_plan(settings).space,
        tmp_path / "new",
        goals=settings.sweep.goals(),
        num_trials=4,
        beginning=beginning,
    )
    assert searcher.suggest("ray0")["values"] == wanted[0].values


def test_trials_that_do_not_fit_are_counted_with_the_reason(
    recorded, tracking_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, trials = recorded(count=18)
    complete = [trial for trial in trials if trial.state == "COMPLETE"]
    narrow = {**SPACE, "optimizer.lr": {"low": 0.01, "high": 0.3, "log": True}}
    sweep = {"space": narrow, "start_from": ["mlflow:films"]}
    settings = study(tracking_uri, tmp_path, sweep=sweep)
    with caplog.at_level(logging.INFO):
        earlier = read_beginning(make_plan(settings)).earlier
    inside = [t for t in complete if 0.01 <= t.values["optimizer.lr"] <= 0.3]
    assert 0 < len(earlier) == len(inside) < len(complete)
    n_out = len(complete) - len(inside)
    assert f"{n_out} of the {len(complete)} finished trials of mlflow:films are left" in caplog.text
    assert f"({n_out}: optimizer.lr outside of its dimension)" in caplog.text

    fixed = {key: value for key, value in SPACE.items() if key != "training.loss_function"}
    settings = study(tracking_uri, tmp_path, sweep={"space": fixed, "start_from": ["mlflow:films"]})
    caplog.clear()
    assert read_beginning(make_plan(settings)).earlier
    assert "training.loss_function is not searched now and had another value" in caplog.text

    other = study(tracking_uri, tmp_path, data={"name": "ml-1m"}, sweep=sweep)
    with pytest.raises(SpaceError, match=r"other data.*Start with its best settings instead"):
        read_beginning(make_plan(other))


def test_studies_of_another_metric_are_left_out(
    recorded, tracking_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(seed=1, count=3)
    other, _ = recorded(seed=2, count=3, sweep={"metric": "val/mrr"})
    settings = study(tracking_uri, tmp_path, sweep={"start_from": ["mlflow:films"]})
    assert len(read_beginning(make_plan(settings)).earlier) == 2
    assert f"mlflow:films/{other} is left out: it compares val/mrr" in caplog.text
    settings = study(tracking_uri, tmp_path, sweep={"start_from": [f"mlflow:films/{other}"]})
    with pytest.raises(ConfigError, match=r"compares val/mrr, this study val/ndcg_at_10"):
        read_beginning(make_plan(settings))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("mlflow:film", r"has no experiment 'film'\. Did you mean films\?"),
        ("mlflow:films/nothing", "experiment 'films' holds no study 'nothing'"),
        ("mlflow:", "has no experiment ''"),
        ("mlflow:empty", "it holds no study of hbpr"),
    ],
)
def test_what_is_not_there_is_told(recorded, tracking_uri: str, reference, words) -> None:
    from hbpr.tracking.store import open_client

    recorded(count=2)
    open_client(tracking_uri).create_experiment("empty")
    with pytest.raises(ConfigError, match=words):
        read_recorded(reference, tracking_uri, "start_from")


def test_a_server_that_is_away_is_told() -> None:
    with pytest.raises(TrackingError, match="does not answer"):
        read_recorded("mlflow:films", "http://127.0.0.1:9", "start_from")


@pytest.mark.parametrize("tag", ["settings_format", None])
def test_records_made_before_the_format_had_a_number(
    recorded, tracking_uri: str, tag: str | None
) -> None:
    from hbpr.tracking.store import open_client

    reference = f"mlflow:films/{recorded(seed=1, count=2)[0]}"
    (now,) = read_recorded(reference, tracking_uri, "start_from")
    client = open_client(tracking_uri)
    (run,) = client.search_runs(
        [client.get_experiment_by_name("films").experiment_id], "tags.`hbpr.kind` = 'study'"
    )
    before = now.plan.settings.model_dump(mode="json")
    before["training"]["negatives"] |= {"observed": 0.5, "alpha": 0.75}
    client.set_tag(run.info.run_id, "hbpr.settings", json.dumps(before))
    if tag is None:
        client.delete_tag(run.info.run_id, "hbpr.settings_format")
        (found,) = read_recorded(reference, tracking_uri, "start_from")
        assert found.plan == now.plan
    else:
        client.set_tag(run.info.run_id, "hbpr.settings_format", "99")
        with pytest.raises(ConfigError, match="settings are of format 99"):
            read_recorded(reference, tracking_uri, "start_from")


def test_a_study_of_another_version_is_left_out_of_an_experiment(
    recorded, tracking_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    from hbpr.tracking.store import open_client

    kept, _ = recorded(seed=1, count=2)
    broken, _ = recorded(seed=2, count=2)
    client = open_client(tracking_uri)
    experiment = client.get_experiment_by_name("films").experiment_id
    (run,) = client.search_runs(
        [experiment], f"tags.`hbpr.study_id` = '{broken}' and tags.`hbpr.kind` = 'study'"
    )
    client.set_tag(run.info.run_id, "hbpr.settings", '{"model": {"unheard_of": 1}}')
    (found,) = read_recorded("mlflow:films", tracking_uri, "start_from")
    assert found.name == f"mlflow:films/{kept}"
    assert f"{broken} cannot be read: its settings are not those of today" in caplog.text
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recorded(f"mlflow:films/{broken}", tracking_uri, "start_from")
