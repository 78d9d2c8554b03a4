"""A whole study over four families of models."""

import pytest

from hbpr.inference.system import RecommendationSystem
from tune.study import run_study

KINDS = ["mf", "neumf", "ease", "ials"]
KIND = "model.kind"


@pytest.mark.ray
@pytest.mark.long
@pytest.mark.usefixtures("shared_ray", "tracking_uri")
def test_every_family_is_tried_repeated_refitted_and_saved(small_study, runs):
    sweep = {
        "scheduler": {"kind": "asha", "grace_period": 1},
        "num_trials": 8,
        "start_with": [{KIND: kind} for kind in KINDS],
        "space": {
            KIND: KINDS,
            "optimizer.lr": {"low": 0.01, "high": 0.1, "log": True, "when": {KIND: KINDS[:2]}},
            "model.regularisation": {"low": 1.0, "high": 99.0, "log": True, "when": {KIND: "ease"}},
            "model.scaled_l2": {"low": 0.01, "high": 0.1, "log": True, "when": {KIND: "ials"}},
        },
        "final": {"top": 8, "seeds": 2},
    }
    model = {"similarity": "cosine", "temperature": 0.2, "n_latent": 8}
    training = {"loss_function": "softmax_loss", "negatives": {"kind": "auto"}}
    result = run_study(small_study(sweep, model=model, training=training))
    frame = result.to_frame()
    assert list(frame[KIND][:4]) == KINDS
    assert not (frame["state"] == "FAIL").any()
    kinds = frame[KIND].to_dict()
    for finalist in result.finalists:
        assert len(finalist.values) == (1 if kinds[finalist.number] == "ease" else 2)
    assert {kinds[finalist.number] for finalist in result.finalists} >= {"ease", "ials"}
    again = RecommendationSystem.load(result.folder)
    assert again.settings.model.kind == result.best.values[KIND]
    assert len(again.recommend(again.data.user_ids[:1], k=3)) == 3
