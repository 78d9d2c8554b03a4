"""Metrics of recommended lists through the last training, the repeats and the baselines."""

import pytest

from hbpr.baselines.choose import choose_baselines
from hbpr.baselines.compare import judge
from hbpr.data import UserItemData, load_data
from hbpr.errors import DataError
from hbpr.settings.models import TrialSettings
from hbpr.training.trainer import Trainer
from tune.answer.refit import train_winner

NAMES = ("coverage", "novelty", "arp", "gini")
SETTINGS = TrialSettings.model_validate(
    {
        "data": {
            "source": "synthetic",
            "synthetic": {"n_users": 60, "n_items": 40, "n_shown": 20},
        },
        "model": {"n_latent": 4},
        "training": {"n_iter": 2, "eval_every": 1, "top_k": [5, 10], "metrics": NAMES},
    }
)


@pytest.fixture(scope="module")
def data():
    return load_data(SETTINGS.data)


@pytest.mark.parametrize("refit", [True, False])
def test_the_winner_and_its_baselines_have_them_and_the_system_finds_the_same(data, refit):
    final = train_winner(
        SETTINGS,
        data,
        epochs=2,
        validation={},
        refit=refit,
        threads=1,
        baselines=[
            (each, judge(each.fit(data.train), data, SETTINGS.training)[2])
            for each in choose_baselines(data, SETTINGS.training)
        ],
    )
    for k in (5, 10):
        names = [f"{name}_at_{k}" for name in NAMES]
        assert {f"test/{name}" for name in names} <= final.test.keys()
        for each in final.baselines:
            assert {f"val/{name}" for name in names} <= each.validation.keys()
            assert {f"test/{name}" for name in names} <= each.test.keys()
    assert final.system.evaluate("test") == final.test
    by_popularity = next(each for each in final.baselines if each.name == "popularity")
    assert by_popularity.test["test/arp_at_5"] >= final.test["test/arp_at_5"]
    assert by_popularity.test["test/novelty_at_5"] <= final.test["test/novelty_at_5"]


def test_trials_and_repeats_report_the_same(data):
    trainer = Trainer(data, SETTINGS)
    reports = list(trainer)
    _, values, metrics = judge(trainer.best_model(), data, SETTINGS.training)
    best = next(each for each in reports if each.epoch == trainer.best_epoch)
    assert metrics == best.metrics
    assert {f"val/{name}_at_10" for name in NAMES} <= metrics.keys()
    assert values.mean() == pytest.approx(metrics["val/ndcg_at_10"])


def test_what_the_data_cannot_tell_ends_a_trial_before_it_begins(data):
    asking = SETTINGS.model_copy(
        update={"training": SETTINGS.training.model_copy(update={"metrics": ("diversity",)})}
    )
    with pytest.raises(DataError, match=r"diversity compares items .* out of training\.metrics"):
        Trainer(data, asking)
    described = UserItemData("described")
    described.add_positive_interactions([u for u in range(9) for _ in range(9)], [*range(9)] * 9)
    described.add_item_features(range(9), ["odd" if i % 2 else "even" for i in range(9)])
    Trainer(described.to_interactions(), asking)
