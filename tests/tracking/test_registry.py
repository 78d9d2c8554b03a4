import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from hbpr.data import UserItemData
from hbpr.errors import DataError, TrackingError
from hbpr.inference import load
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.locate import version_of
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.settings.models import TrialSettings
from hbpr.tracking.pyfunc_model import SystemModel, signature_of
from hbpr.tracking.registry import (
    Registered,
    load_system,
    log_system,
    register_model,
)
from hbpr.tracking.run_log import start_run
from hbpr.tracking.store import ensure_experiment, open_client


def small_system() -> RecommendationSystem:
    rng = np.random.default_rng(0)
    data = UserItemData(name="small")
    data.add_positive_interactions(
        [f"u{i}" for i in rng.integers(0, 20, 200)], rng.integers(0, 30, 200)
    )
    settings = TrialSettings.model_validate({"model": {"n_latent": 4}})
    interactions = data.to_interactions()
    model = build_model(settings.model, interactions, seed=1)
    return RecommendationSystem(model, interactions, settings)


def test_a_model_comes_back_without_pickle(tracking_uri: str, tmp_path: Path) -> None:
    system = small_system()
    run = start_run(tracking_uri, "e", run_name="r", params={})
    uri = log_system(run.client, run.run_id, system)
    expected = system.recommend(["u1", "u2"], k=3)
    for name in (uri, f"runs:/{run.run_id}/recommender"):
        pd.testing.assert_frame_equal(
            load_system(name, tracking_uri).recommend(["u1", "u2"], k=3), expected
        )
    for name in (uri, f"runs:/{run.run_id}/recommender", f"runs:/{run.run_id}", run.run_id):
        found = load(name, tracking_uri=tracking_uri).recommend(["u1", "u2"], k=3)
        assert found["item"].tolist() == expected["item"].tolist()
    names = {path.name for path in (tmp_path / "mlruns").rglob("*") if path.is_file()}
    assert "arrays.safetensors" in names
    assert not {name for name in names if name.endswith((".pkl", ".pickle", ".pt"))}
    (requirements,) = (tmp_path / "mlruns").rglob("requirements.txt")
    wheel = requirements.parent / requirements.read_text().split()[-1]
    assert wheel.is_file(), "an environment for the model needs no index that has hbpr"
    system.save(tmp_path / "saved")
    again = log_system(run.client, run.run_id, tmp_path / "saved")
    assert load_system(again, tracking_uri).recommend(["u1"], k=1).item[0] == expected.item[0]


def test_mlflow_itself_loads_the_model_in_a_fresh_process(tracking_uri: str) -> None:
    system = small_system()
    run = start_run(tracking_uri, "e", run_name="r", params={})
    uri = log_system(run.client, run.run_id, system)
    program = (
        "import sys, mlflow, pandas as pd; m = mlflow.pyfunc.load_model(sys.argv[1]); "
        "print(m.predict(pd.DataFrame({'user': ['u1'], 'k': [2]})).to_json(orient='records')); "
        "assert len(m.predict([{'user': 'u1'}, {'user': 'u2'}], params={'k': 3})) == 6; "
        "print(m.metadata.signature.inputs)\ntry: m.predict(['u1'])\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, uri],
        env=os.environ | {"MLFLOW_TRACKING_URI": tracking_uri},
        capture_output=True,
        text=True,
        check=True,
    )
    first, signature, refused = done.stdout.splitlines()[-3:]
    rows = json.loads(first)
    assert signature.startswith("['user': Any (optional), 'history': Any (optional)")
    assert "expected a data frame with a column 'user'" in refused
    assert [row["item"] for row in rows] == system.recommend(["u1"], k=2).item.tolist()


@pytest.mark.parametrize("given", [["u1"], np.array(["u1"]), pd.DataFrame({"users": ["u1"]})])
def test_other_input_than_a_column_of_users_is_told(given: object, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a data frame with a column .user. .*, got"):
        SystemModel(loaded(small_system(), tmp_path)).predict(given)


@pytest.mark.parametrize(("users", "name"), [([1, 2], "long"), ([1.5, 2.5], "double")])
def test_the_signature_has_the_type_of_the_ids(tmp_path: Path, users: list, name: str) -> None:
    data = UserItemData(name="small")
    data.add_positive_interactions(users * 4, list("abcdefgh"))
    settings, interactions = TrialSettings(), data.to_interactions()
    model = build_model(settings.model, interactions, seed=1)
    RecommendationSystem(model, interactions, settings).save(tmp_path / "saved")
    signature = signature_of(tmp_path / "saved")
    assert signature.outputs.input_types()[1].name == name
    assert [each.name for each in signature.inputs] == ["user", "history", "features", "k"]


def test_a_table_may_hold_users_known_and_new(tmp_path: Path) -> None:
    system = small_system()
    model = SystemModel(loaded(system, tmp_path))
    history = system.data.item_ids[:4].tolist()
    table = model.predict(
        pd.DataFrame(
            {"user": ["u1", None, "nobody", "u2"], "history": [None, history, None, None], "k": 3}
        )
    )
    assert table["row"].tolist() == [0] * 3 + [1] * 3 + [2] + [3] * 3
    by_row = dict(iter(table.groupby("row")))
    assert by_row[0]["item"].tolist() == system.recommend(["u1"], k=3)["item"].tolist()
    assert by_row[3]["item"].tolist() == system.recommend(["u2"], k=3)["item"].tolist()
    expected = system.recommend_for_history(history, k=3)["item"].tolist()
    assert by_row[1]["item"].tolist() == expected
    assert "unknown user 'nobody'" in by_row[2]["error"].item()
    with pytest.raises(DataError, match="unknown user 'nobody'"):
        model.predict(pd.DataFrame({"user": ["nobody"]}))


def loaded(system: RecommendationSystem, folder: Path) -> LoadedModel:
    system.save(folder / "loaded")
    return LoadedModel.read(folder / "loaded")


def test_champions_compare_where_the_exam_is_the_same(tracking_uri: str) -> None:
    system = small_system()
    client = open_client(tracking_uri)
    run_id = client.create_run(ensure_experiment(client, "films", tracking_uri)).info.run_id

    def champion_after(value: float, features: str) -> str | None:
        data = {"hbpr.data": features, "hbpr.exam": "the same"}
        tags = {"hbpr.metric": "val/auc", "hbpr.value": str(value), **data}
        uri = log_system(client, run_id, system)
        return register_model(client, "films", uri, run_id=run_id, tags=tags).champion

    assert champion_after(0.6, "indicator") == "1"
    assert champion_after(0.5, "both") == "1"
    assert champion_after(0.7, "both") == "3"


def test_the_best_version_of_its_kind_is_the_champion(tracking_uri: str) -> None:
    system, name = small_system(), "films/2: é%"
    client = open_client(tracking_uri)
    run_id = client.create_run(ensure_experiment(client, name, tracking_uri)).info.run_id

    def register(uri: str, value: float, data: str = "d") -> Registered:
        tags = {"hbpr.metric": "val/auc", "hbpr.data": data, "hbpr.value": str(value)}
        return register_model(client, name, uri, run_id=run_id, tags=tags)

    first = log_system(client, run_id, system)
    assert register(first, 0.5) == ("films-2- é%", "1", "1", "")
    assert register(first, 0.5).version == "1", "once"
    worse = register(log_system(client, run_id, system), 0.4)
    assert (worse.version, worse.champion, worse.uri) == ("2", "1", "models:/films-2- é%/2")
    assert register(log_system(client, run_id, system), 0.6).champion == "3"
    assert register(log_system(client, run_id, system), 0.1, data="other").champion == "4"
    tags = {"hbpr.metric": "val/auc", "hbpr.data": "d", "hbpr.value": "0.9", "hbpr.better": "EASE"}
    best = log_system(client, run_id, system)
    found = register_model(client, name, best, run_id=run_id, tags=tags)
    assert found == ("films-2- é%", "5", "4", "EASE"), "a baseline is better"
    del tags["hbpr.better"]
    found = register_model(client, name, best, run_id=run_id, tags=tags)
    assert found == ("films-2- é%", "5", "5", ""), "it was asked for all the same"
    assert "hbpr.better" not in client.get_model_version(found.name, "5").tags
    champion = "models:/films-2- é%@champion"
    before = version_of(champion, tracking_uri)
    assert before == version_of("models:/films-2- é%/5", tracking_uri)
    assert before != version_of("models:/films-2- é%/4", tracking_uri)
    assert load(champion, tracking_uri=tracking_uri).n_users == system.data.n_users
    loaded = load_system(champion, tracking_uri)
    assert loaded.recommend(["u1"], k=2).equals(system.recommend(["u1"], k=2))


def test_registering_does_not_wait(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version is ready when it is made; a client that waits says so on the terminal."""

    def waits(*_: object) -> None:
        raise AssertionError("it waits")

    monkeypatch.setattr(SqlAlchemyStore, "_await_model_version_creation", waits)
    client = open_client(tracking_uri)
    run_id = client.create_run(ensure_experiment(client, "films", tracking_uri)).info.run_id
    uri = log_system(client, run_id, small_system())
    assert register_model(client, "films", uri, run_id=run_id, tags={}).version == "1"


@pytest.mark.parametrize("uri", ["models:/m-none", "models:/none@champion", "runs:/none/x"])
def test_a_model_that_is_not_there_is_told_plainly(tracking_uri: str, uri: str) -> None:
    with pytest.raises(TrackingError, match=f"no model {uri}"):
        load_system(uri, tracking_uri)
    with pytest.raises(TrackingError, match=f"no model {uri}"):
        load(uri, tracking_uri=tracking_uri)
    with pytest.raises(TrackingError, match=f"no model {uri}"):
        version_of(uri, tracking_uri)
