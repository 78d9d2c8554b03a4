"""Exposures of known probability: what they say of a ranking, against the truth."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from hbpr import RecommendationSystem, TrainingPipeline, UserItemData
from hbpr.data import load_table
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation import evaluate_part, propensity
from hbpr.evaluation.propensity import Exposed, ndcg, precision
from hbpr.settings.models import DataSettings, SplitSettings, TableSettings

USERS, ITEMS, K = 300, 120, 10


class Fixed:
    """Ranks by given scores."""

    def __init__(self, scores):
        self.scores = scores.astype(np.float32)

    def block_scorer(self):
        return lambda users: self.scores[users].copy()


def world(seed):
    """What users like, the probability with which a log shows it, and scores that know a bit."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(USERS, 4)) @ rng.normal(size=(4, ITEMS)) + rng.normal(size=ITEMS)
    liked = rng.random(taste.shape) < 1 / (1 + np.exp(2.5 - taste))
    # People find what they like, and what is popular, sooner than the rest.
    shown = np.clip(0.06 + 0.25 * liked + 0.1 * rng.random(ITEMS), 0, 1)
    return liked, shown, taste + rng.normal(size=taste.shape), rng


def log(liked, shown, rng, *, negatives=True):
    data = UserItemData("log")
    seen = rng.random(liked.shape) < shown
    for add, mask in (
        (data.add_positive_interactions, seen & liked),
        (data.add_negative_interactions, seen & ~liked),
    ):
        if negatives or add == data.add_positive_interactions:
            users, items = np.nonzero(mask)
            add(users, items, propensities=shown[mask])
    everything = np.arange(USERS), np.arange(ITEMS)
    data.add_user_features(everything[0], everything[0])
    data.add_item_features(everything[1], everything[1])
    return data


def truth(liked, scores, exclude, k=K):
    """Precision and NDCG if all candidates were judged."""
    left = np.where(exclude.to_csr().toarray() > 0, -np.inf, scores.astype(np.float32))
    best = np.argsort(-left, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(liked, best, axis=1)
    discount = 1 / np.log2(np.arange(2, k + 2))
    return {"precision": hits.mean(), "ndcg": (hits @ discount).mean() / discount.sum()}


@pytest.mark.parametrize("candidates", ["all", "unseen"])
@pytest.mark.parametrize("negatives", [True, False])
def test_the_estimate_recovers_the_truth_where_the_plain_mean_does_not(candidates, negatives):
    inside, off, n = dict.fromkeys(("precision", "ndcg"), 0), [], 20
    for seed in range(n):
        liked, shown, scores, rng = world(seed)
        data = log(liked, shown, rng, negatives=negatives).to_interactions(
            SplitSettings(train=0.5, validation=0.1), candidates=candidates
        )
        found = evaluate_part(Fixed(scores), data, "test", [K]).metrics
        wanted = truth(liked, scores, data.no_candidates("test"))
        for name, true in wanted.items():
            low, high = (found[f"test/ips_{name}_{end}_at_{K}"] for end in ("low", "high"))
            inside[name] += low <= true <= high
            off.append(abs(found[f"test/{name}_at_{K}"] - true) > high - low)
        if negatives:  # nor does the share of what was shown and liked, without weights
            judged = data.test_judged
            naive = naive_precision(scores, judged, data.no_candidates("test"))
            assert abs(naive - wanted["precision"]) > 0.05
    assert min(inside.values()) >= 0.85 * n, inside
    assert all(off)


def naive_precision(scores, judged, exclude):
    from hbpr.evaluation.propensity import _ranks

    ranks = _ranks(Fixed(scores).block_scorer(), judged.pairs, exclude)
    return judged.liked[ranks <= K].mean()


def test_by_hand():
    one = Exposed(
        users=np.array([0, 0, 1], np.int32),
        ranks=np.array([1.0, 2.0, 1.0]),
        weights=np.array([4.0, 1.0, 5.0]),
        liked=np.array([True, False, False]),
        n_users=2,
    )
    assert precision(one, 2).value == pytest.approx(0.4)  # (4 + 0 + 0) / (4 + 1 + 5)
    assert precision(one, 1).value == pytest.approx(4 / 9)
    gains = 1 / np.log2([2, 3, 2])
    assert ndcg(one, 2).value == pytest.approx(4 * gains[0] / (gains @ one.weights))
    only_likes = replace(one, liked=np.array([True, True, True]), known={})
    assert precision(only_likes, 2).value == pytest.approx((4 + 1 + 5) / 2 / 2)
    assert precision(replace(one, ranks=one.ranks + 5, known={}), 2) is None


def test_an_estimate_with_both_ends_is_made_once(monkeypatch):
    calls = []
    made = propensity._estimate
    monkeypatch.setattr(propensity, "_estimate", lambda *about: calls.append(1) or made(*about))
    liked, shown, scores, rng = world(0)
    data = log(liked, shown, rng).to_interactions(SplitSettings(train=0.5, validation=0.1))
    found = evaluate_part(Fixed(scores), data, "test", [5, K]).metrics
    assert sum("/ips_" in name for name in found) == 12
    assert len(calls) == 4  # precision and NDCG at two lengths


def table(folder, **changes):
    rows = ["user,item,liked,chance"]
    rng = np.random.default_rng(0)
    rows += [
        f"u{u},i{i},{int(rng.random() < 0.5)},{0.2 + 0.5 * (i % 2)}"
        for u in range(40)
        for i in rng.permutation(30)[:12]
    ]
    (folder / "log.csv").write_text("\n".join([*rows, *changes.pop("more", ())]) + "\n")
    return {"path": str(folder / "log.csv"), "value": "liked", "propensity": "chance", **changes}


def test_a_column_of_a_table_gives_estimates_in_training_and_record(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    settings = {
        "data": {
            "source": "table",
            "name": "log",
            "table": table(tmp_path, more=["u1,i2,1,"]),
            "rating_threshold": 0.5,
        },
        "model": {"n_latent": 2},
        "training": {"n_iter": 1, "eval_every": 1, "top_k": [5], "monitor": "val/ndcg_at_5"},
    }
    with caplog.at_level(logging.WARNING):
        system = TrainingPipeline(settings).run()
    assert "1 without chance" in caplog.text
    names = [f"ips_{m}{e}_at_5" for m in ("precision", "ndcg") for e in ("", "_low", "_high")]
    assert set(names) <= {name.partition("/")[2] for name in system.metrics}
    for part in ("val", "test"):
        low, value, high = (
            system.metrics[f"{part}/ips_precision{end}_at_5"] for end in ("_low", "", "_high")
        )
        assert low < value < high
    system.save(tmp_path / "saved")
    again = RecommendationSystem.load(tmp_path / "saved")
    assert again.data.fingerprint == system.data.fingerprint
    assert again.evaluate("test") == pytest.approx(system.evaluate("test"))


def test_propensities_are_saved_with_the_data_and_pages_have_them(tmp_path):
    data = UserItemData("log")
    data.add_positive_interactions([1, 1, 2, 2], [1, 2, 1, 2], propensities=[0.5, 0.1, 0.2, 0.3])
    data.add_pages([1, 1, 2], [1, 3, 3], [7, 7, 7], propensities=[0.5, 0.4, 0.25])
    data.save(tmp_path / "log.npz")
    for each in (data, UserItemData.load(tmp_path / "log.npz")):
        whole = each.assemble()
        assert whole.positive_propensities.tolist() == [0.5, 0.1, 0.2, 0.3]
        assert whole.negative_propensities.tolist() == [0.4, 0.25]


@pytest.mark.parametrize("value", [0, 1.5, -0.1, float("nan")])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(
        DataError, match=r"propensities must be above 0, at most 1, got .* in row 1"
    ):
        UserItemData("d").add_positive_interactions([1, 2], [1, 2], propensities=[0.5, value])


def test_all_or_none_have_one(tmp_path):
    data = UserItemData("d")
    data.add_positive_interactions([1, 2], [1, 2], propensities=[0.5, 0.5])
    data.add_negative_interactions([1], [2])
    with pytest.raises(DataError, match="give all interactions a propensity, or none"):
        data.to_interactions()
    only = load_table(TableSettings(**table(tmp_path)), rating_threshold=0.5)
    with pytest.raises(DataError, match=r"propensities go with data.split.kind random"):
        only.to_interactions(SplitSettings(kind="cold_items"))


@pytest.mark.parametrize("change", [{"split": {"kind": "cold_items"}}, {"candidates": "observed"}])
def test_what_does_not_tell_the_probability_is_refused_before_reading(change, tmp_path):
    from pydantic import ValidationError

    data = {"source": "table", "table": {"path": "none.csv", "propensity": "p"}, **change}
    with pytest.raises(ValidationError) as error:
        DataSettings.model_validate(data)
    assert "table.propensity goes with split.kind random, temporal, fixed" in str(error.value)
    with pytest.raises(ConfigError):
        TrainingPipeline({"data": data})
