import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hbpr.data import load_data
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings
from hbpr.tracking.findings import Stage
from hbpr.tracking.records import Parent, TrialRecord
from hbpr.training.trainer import Trainer
from tune.answer.finalists import repeat_trial
from tune.answer.lineage import ScheduledTrainer, describe, lineage, schedule_of
from tune.answer.refit import train_winner

BASE = TrialSettings.model_validate(
    {
        "data": {"source": "synthetic", "synthetic": {"n_users": 60, "n_items": 40, "n_shown": 20}},
        "model": {"n_latent": 4},
        "training": {"n_iter": 12, "eval_every": 2, "early_stopping_patience": 0},
    }
)
METRIC = BASE.training.monitor
TRIALS = [
    TrialRecord(0, {"optimizer.lr": 0.3}, "PRUNED", 0.1, {}, None),
    TrialRecord(1, {"optimizer.lr": 0.1}, "COMPLETE", 0.1, {}, None),
    TrialRecord(2, {"optimizer.lr": 0.12}, "PRUNED", 0.1, {}, None, parent=Parent(1, 4, 0)),
    TrialRecord(3, {"optimizer.lr": 0.06}, "COMPLETE", 0.1, {}, None, parent=Parent(2, 8, 1)),
]
STAGES = [
    Stage(1, 1, {"optimizer.lr": 0.1}),
    Stage(5, 2, {"optimizer.lr": 0.12}),
    Stage(9, 3, {"optimizer.lr": 0.06}),
]


@pytest.fixture(scope="module")
def data():
    return load_data(BASE.data)


def test_stages_lead_from_new_weights_to_the_trial():
    assert lineage(TRIALS, 3) == STAGES
    assert lineage(TRIALS, 1) == STAGES[:1]
    schedule = schedule_of(STAGES, BASE)
    assert {first: optimizer.lr for first, optimizer in schedule.items()} == {
        1: 0.1,
        5: 0.12,
        9: 0.06,
    }


def test_words():
    text = "optimizer.lr 0.1 from epoch 1 (trial 1), 0.12 from epoch 5 (trial 2)"
    assert describe(STAGES, 12) == f"{text}, 0.06 from epoch 9 (trial 3)"
    assert describe(STAGES, 8) == text
    assert describe(STAGES[:1], 12) is None


@pytest.mark.parametrize(
    ("engine", "name"), [("fused", "adagrad"), ("autograd", "adagrad"), ("autograd", "adam")]
)
def test_a_schedule_is_what_the_trials_did(data, tmp_path: Path, engine, name):
    """Checkpoints handed on between trials of other settings, against one trainer."""
    base = with_values(BASE, {"training.engine": engine, "optimizer.name": name})
    seen, saved = {}, None
    for stage, last in zip(STAGES, (4, 8, 12), strict=True):
        trainer = Trainer(data, with_values(base, stage.values | {"optimizer.reg_user": 0.1}))
        if saved is not None:
            trainer.load(saved)
        for report in trainer:
            seen[report.epoch] = (report.loss, report.metrics)
            if report.epoch == last:
                break
        saved = tmp_path / str(last)
        trainer.save(saved)
    stages = [dataclasses.replace(s, values=s.values | {"optimizer.reg_user": 0.1}) for s in STAGES]
    settings = with_values(base, stages[-1].values)
    scheduled = ScheduledTrainer(data, settings, schedule_of(stages, base), threads=1)
    again = {report.epoch: (report.loss, report.metrics) for report in scheduled}
    assert again == seen
    alone = {r.epoch: (r.loss, r.metrics) for r in Trainer(data, settings)}
    assert alone != seen


def test_refit_and_repeats_follow_the_schedule(data):
    settings, schedule = with_values(BASE, STAGES[-1].values), schedule_of(STAGES, BASE)
    scheduled = ScheduledTrainer(data, settings, schedule, threads=1)
    values = {r.epoch: r.metrics[METRIC] for r in scheduled if r.metrics}
    best = max(values, key=lambda epoch: (values[epoch], -epoch))
    repeat = repeat_trial(settings, data, 1, schedule)
    assert (repeat.best_epoch, repeat.metrics[METRIC]) == (best, values[best])
    final = train_winner(
        settings, data, epochs=12, validation={}, refit=False, threads=1, schedule=schedule
    )
    trained, whole = final.system.model, scheduled.trainer.model
    for (name, one), (_, other) in zip(
        trained.named_parameters(), whole.named_parameters(), strict=True
    ):
        assert np.array_equal(one.detach().numpy(), other.detach().numpy()), name


def test_another_update_rule_is_refused(data):
    trainer = Trainer(data, BASE)
    with pytest.raises(ValueError, match="cannot change from adagrad to sgd"):
        trainer.retune(with_values(BASE, {"optimizer.name": "sgd"}).optimizer)
