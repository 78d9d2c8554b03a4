"""What a run says of its data in MLflow."""

import json

import numpy as np

from hbpr import TrainingPipeline, UserItemData
from hbpr.tracking import tags as tag
from hbpr.tracking.about import about
from hbpr.tracking.store import open_client


def films(seed: int = 0, *, features: bool = False):
    rng = np.random.default_rng(seed)
    data = UserItemData(name="films")
    data.add_positive_interactions(rng.integers(0, 40, 800), rng.integers(0, 30, 800))
    if features:
        data.add_item_features(np.arange(30), np.arange(30) % 3)
    data.split_train_test(train_ratio=0.8)
    return data


def test_features_change_the_fingerprint_and_not_the_exam(tracking_uri: str) -> None:
    config = TrainingPipeline.create_default_config()
    config["mlflow"] |= {"experiment_name": "films", "tracking_uri": tracking_uri}
    config["training"]["n_iter"] = 1
    config["model"]["n_latent"] = 4
    for data in (films(), films(features=True), films(1)):
        TrainingPipeline(config).run(data)
    client = open_client(tracking_uri)
    experiment = client.get_experiment_by_name("films")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    same, described, other = (run.data.tags for run in runs)
    assert same[tag.EXAM] == described[tag.EXAM] != other[tag.EXAM]
    assert same[tag.DATA] == "films"
    assert (same[tag.USERS], same[tag.ITEMS]) == ("40", "30")
    assert "hbpr" in json.loads(same[tag.VERSIONS])
    (put,) = runs[0].inputs.dataset_inputs
    assert (put.dataset.name, put.dataset.digest) == ("films", same[tag.EXAM][:36])
    assert json.loads(put.dataset.profile)["users"] == 40


def test_several_datasets_have_no_one_fingerprint() -> None:
    pipeline = TrainingPipeline(TrainingPipeline.create_default_config())
    data = pipeline._interactions(films())
    assert tag.FINGERPRINT in about([data]).tags
    assert tag.FINGERPRINT not in about([data, data]).tags
