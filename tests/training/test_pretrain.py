"""NeuMF from two towers that were trained alone."""

import numpy as np
import pytest

from hbpr.data import load_data
from hbpr.models import NeuMF, build_model
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings
from hbpr.training import Trainer
from hbpr.training import pretrain as module

DATA = DataSettings(
    source="synthetic",
    item_feature="both",
    synthetic=SyntheticSettings(n_users=60, n_items=40, n_shown=20),
)


def _settings(epochs: int) -> TrialSettings:
    return TrialSettings.model_validate(
        {
            "model": {
                "kind": "neumf",
                "n_latent": 4,
                "n_latent_mlp": 3,
                "hidden": [6, 2],
                "dropout": 0.2,
                "pretrain_epochs": epochs,
            },
            "training": {"n_iter": 3, "eval_every": 1, "device": "cpu", "batch_size": 256},
        }
    )


def test_the_joint_model_scores_the_mean_of_the_towers(monkeypatch: pytest.MonkeyPatch) -> None:
    data, settings = load_data(DATA), _settings(2)
    towers: list[NeuMF] = []
    train = module._train
    monkeypatch.setattr(
        module, "_train", lambda *a, **k: towers.append(train(*a, **k)) or towers[-1]
    )
    model = build_model(settings.model, data)
    module.pretrain(model, data, settings)  # type: ignore[arg-type]
    gmf, mlp = towers
    assert (gmf.hidden, gmf.n_latent, mlp.hidden, mlp.n_latent) == ((), 4, (6, 2), 0)
    users = np.arange(data.n_users)
    expected = 0.5 * (gmf.block_scorer()(users) + mlp.block_scorer()(users))
    np.testing.assert_allclose(model.block_scorer()(users), expected, atol=1e-5)
    assert not np.allclose(model.block_scorer()(users), build_model(
        settings.model, data).block_scorer()(users))  # fmt: skip


def test_it_happens_once_before_the_first_epoch(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = load_data(DATA)
    trainer = Trainer(data, _settings(2))
    losses = [next(trainer).loss]
    trainer.save(tmp_path)
    losses += [report.loss for report in trainer]
    resumed = Trainer(data, _settings(2))
    resumed.load(tmp_path)
    assert [report.loss for report in resumed] == losses[1:]
    assert next(Trainer(data, _settings(0))).loss > losses[0]
