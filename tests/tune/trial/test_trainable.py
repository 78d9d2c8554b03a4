"""A trial without Ray: the class itself, with data handed over directly."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from hbpr.data import load_data
from hbpr.data.interactions import Interactions
from hbpr.names import EVAL_S, LOSS, TRAIN_S
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.training.trainer import Trainer
from tune.storage.kept import Checkpoints, KeptInFolder, KeptInStore
from tune.trial import trainable as module
from tune.trial.data import data_key
from tune.trial.messages import FAILED
from tune.trial.trainable import HbprTrainable, TrialContext

from ...support.store import Store

BASE = TrialSettings.model_validate(
    {
        "data": {"source": "synthetic", "synthetic": {"n_users": 60, "n_items": 40, "n_shown": 20}},
        "model": {"n_latent": 4},
        "training": {"n_iter": 5, "eval_every": 2, "early_stopping_patience": 0},
    }
)
METRIC = BASE.training.monitor
#: Diverges within an epoch.
POISON = {"optimizer.name": "sgd", "optimizer.lr": 100.0, "training.batch_size": 16}
POISON |= {"training.loss_function": "hinge_loss", "training.engine": "autograd"}
POISON |= {"model.init_std": 10.0, "model.n_latent": 64}


@pytest.fixture(autouse=True)
def _references_are_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.ray, "get", lambda reference: reference)


@pytest.fixture(scope="module")
def data() -> Interactions:
    return load_data(BASE.data)


def start(
    data: Interactions | dict[str, Interactions],
    folder: Path = Path(),
    values: dict[str, object] | None = None,
    number: int = 0,
    kept: Checkpoints | None = None,
) -> HbprTrainable:
    by_key = data if isinstance(data, dict) else {"": data}
    kept = kept or KeptInFolder(folder)
    context = TrialContext(BASE, by_key, threads=1, checkpoints=kept)
    kind = HbprTrainable.of(context, "trial of a test")
    trial = kind.__new__(kind)  # Tune's own constructor makes folders in the user's home
    trial.setup({"trial": number, "values": values or {}})
    return trial


def all_steps(trial: HbprTrainable) -> list[dict[str, object]]:
    results = [trial.step()]
    while not results[-1]["done"]:
        results.append(trial.step())
    return results


def curve(results: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(result["epoch"], result[METRIC]) for result in results]


def test_a_step_is_an_evaluation_period(data: Interactions, tmp_path: Path) -> None:
    results = all_steps(start(data, tmp_path))
    assert [result["epoch"] for result in results] == [2, 4, 5]
    assert [result["finished"] for result in results] == [False, False, True]
    assert [result["n_triples"] for result in results] == [
        epochs * data.train.n_pairs for epochs in (2, 2, 1)
    ]
    assert all(result[TRAIN_S] > 0 and result[EVAL_S] > 0 and result[LOSS] for result in results)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_is_the_trainer_run_alone(data: Interactions, tmp_path: Path) -> None:
    values = {"optimizer.lr": 0.2, "model.n_latent": 6}
    results = all_steps(start(data, tmp_path, values))
    alone = [report for report in Trainer(data, with_values(BASE, values)) if report.metrics]
    assert curve(results) == [(report.epoch, report.metrics[METRIC]) for report in alone]
    assert results[-1]["best_value"] == alone[-1].best_value
    assert results[-1]["best_epoch"] == alone[-1].best_epoch


def test_a_warm_actor_leaves_nothing_to_the_next_trial(data: Interactions, tmp_path: Path) -> None:
    warm = start(data, tmp_path, {"model.n_latent": 8})
    warm.step()
    assert warm.reset_config({"trial": 1, "values": {"model.n_latent": 5}})
    fresh = start(data, tmp_path, {"model.n_latent": 5})
    assert curve(all_steps(warm)) == curve(all_steps(fresh))


def test_a_diverged_trial_ends_with_its_reason(data: Interactions, tmp_path: Path) -> None:
    trial = start(data, tmp_path, POISON)
    (result,) = all_steps(trial)
    assert re.match(r"DivergedError: epoch \d: the loss became nan", result[FAILED])
    assert (result["finished"], result["done"]) == (False, True)
    trial.cleanup()
    assert list(tmp_path.iterdir()) == []
    assert trial.reset_config({"trial": 1, "values": {}})
    assert curve(all_steps(trial)) == curve(all_steps(start(data, tmp_path)))


def test_settings_refused_together_end_one_trial(data: Interactions, tmp_path: Path) -> None:
    (result,) = all_steps(start(data, tmp_path, {"training.top_k": [5]}))
    assert "val/ndcg_at_10" in result[FAILED]


def test_a_stopped_trial_goes_on_where_it_was(data: Interactions, tmp_path: Path) -> None:
    whole = all_steps(start(data, tmp_path, number=3))
    first = start(data, tmp_path, number=3)
    before = first.step()
    first.cleanup()
    again = start(data, tmp_path, number=3)
    assert curve([before, *all_steps(again)]) == curve(whole)
    assert start(data, tmp_path, number=4).step()["epoch"] == 2


def test_long_trials_keep_one_whole_checkpoint(
    data: Interactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_EVERY_S", 0.0)
    trial = start(data, tmp_path)
    trial.step()
    trial.step()
    folder = tmp_path / "trial-00000"
    assert [path.name for path in folder.iterdir()] == ["epoch-0000004"]
    (folder / "epoch-0000005.partial").mkdir()
    assert start(data, tmp_path).step()["epoch"] == 5


def test_a_trial_goes_on_from_an_object_store(
    data: Interactions, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = all_steps(start(data, tmp_path))
    monkeypatch.setattr(module, "CHECKPOINT_EVERY_S", 0.0)

    def begin() -> HbprTrainable:
        kept = KeptInStore("s3://shop/checkpoints/00001")
        return start(data, kept=kept)

    first = begin()
    before = [first.step(), first.step()]
    assert [key[-7:] for key in store.objects() if "/epoch-" in key] == ["0000002", "0000004"]
    assert curve([*before, *all_steps(begin())]) == curve(whole)


def test_a_trial_that_ended_keeps_no_checkpoint(data: Interactions, tmp_path: Path) -> None:
    trial = start(data, tmp_path)
    all_steps(trial)
    trial.cleanup()
    assert list(tmp_path.iterdir()) == []


def test_schedulers_may_save_and_load(data: Interactions, tmp_path: Path) -> None:
    trial = start(data, tmp_path / "own")
    trial.step()
    trial.save_checkpoint(str(tmp_path / "pause"))
    other = start(data, tmp_path / "own", number=1)
    other.load_checkpoint(str(tmp_path / "pause"))
    assert curve(all_steps(other)) == curve(all_steps(trial))


def test_each_data_setting_reads_its_own_data(tmp_path: Path) -> None:
    both = with_values(BASE, {"data.item_feature": "both"}).data
    datasets = {data_key(each): load_data(each) for each in (BASE.data, both)}
    trial = start(datasets, tmp_path)
    assert trial._trainer.data is datasets[data_key(BASE.data)]
    trial.reset_config({"trial": 1, "values": {"data.item_feature": "both"}})
    assert trial._trainer.data is datasets[data_key(both)]
    assert not trial._trainer.data.item_features.is_identity


def test_data_may_be_read_only(data: Interactions, tmp_path: Path) -> None:
    expected = curve(all_steps(start(data, tmp_path)))

    def frozen(part: object) -> object:
        if isinstance(part, np.ndarray):
            part = part.copy()
            part.flags.writeable = False
            return part
        if dataclasses.is_dataclass(part):
            return dataclasses.replace(
                part, **{f.name: frozen(getattr(part, f.name)) for f in dataclasses.fields(part)}
            )
        return part

    assert curve(all_steps(start(frozen(data), tmp_path))) == expected


def test_epochs_at_which_a_scheduler_decides_are_evaluated(
    data: Interactions, tmp_path: Path
) -> None:
    context = TrialContext(
        BASE, {"": data}, threads=1, checkpoints=KeptInFolder(tmp_path), evaluate_at=(1, 4)
    )
    kind = HbprTrainable.of(context, "trial of a test")
    trial = kind.__new__(kind)
    trial.setup({"trial": 0, "values": {}})
    results = all_steps(trial)
    assert [result["epoch"] for result in results] == [1, 2, 4, 5]
    assert curve(results)[1:] == curve(all_steps(start(data, tmp_path)))
