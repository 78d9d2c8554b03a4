from dataclasses import replace

import numpy as np

from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import TrialRecord
from tune.answer.importance import importance
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space

NDCG, BYTES = "val/ndcg_at_10", "item_vector_bytes"
ONE = Goals((Objective(NDCG, "max"),))
TWO = Goals((Objective(NDCG, "max"), Objective(BYTES, "min")))
SPACE = check_space(
    Space.parse(
        {
            "optimizer.lr": {"low": 0.01, "high": 1.0, "log": True},
            "model.n_latent": [8, 16, 32],
            "training.negatives.kind": ["uniform", "mixed"],
            "training.negatives.observed": {
                "low": 0.1,
                "high": 0.9,
                "when": {"training.negatives.kind": "mixed"},
            },
        }
    ),
    TrialSettings(),
)


def trials(count: int) -> list[TrialRecord]:
    """The value depends on the learning rate alone, the bytes on the size alone."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        values = {
            "optimizer.lr": float(10 ** rng.uniform(-2, 0)),
            "model.n_latent": int(rng.choice([8, 16, 32])),
            "training.negatives.kind": str(rng.choice(["uniform", "mixed"])),
        }
        if values["training.negatives.kind"] == "mixed":
            values["training.negatives.observed"] = float(rng.uniform(0.1, 0.9))
        value = -abs(np.log10(values["optimizer.lr"]) + 1)
        state = "PRUNED" if number % 3 else "COMPLETE"
        measured = {1: {NDCG: value, BYTES: 4.0 * values["model.n_latent"]}}
        trial = TrialRecord(number, values, state, value, {1: value}, None, measured=measured)
        made.append(trial)
    return made


def test_the_setting_that_decides_comes_first() -> None:
    found = importance(trials(60), SPACE, ONE)[NDCG]
    assert list(found) == sorted(found, key=found.__getitem__, reverse=True)
    assert next(iter(found)) == "optimizer.lr"
    assert found["optimizer.lr"] > 0.8
    assert set(found) == {"optimizer.lr", "model.n_latent", "training.negatives.kind"}
    assert sum(found.values()) == 1.0 or abs(sum(found.values()) - 1.0) < 1e-9


def test_each_objective_has_its_own() -> None:
    found = importance(trials(60), SPACE, TWO)
    assert list(found) == [NDCG, BYTES]
    assert found[NDCG] == importance(trials(60), SPACE, ONE)[NDCG]
    assert next(iter(found[BYTES])) == "model.n_latent"
    assert found[BYTES]["model.n_latent"] > 0.8


def test_an_objective_that_never_changes_is_left_out() -> None:
    made = [replace(trial, measured={1: trial.measured[1] | {BYTES: 1.0}}) for trial in trials(60)]
    assert list(importance(made, SPACE, TWO)) == [NDCG]


def test_a_tenth_that_is_as_good_as_all_is_left_out(recwarn) -> None:
    made = [replace(t, value=float(t.number == 0)) for t in trials(60)]
    assert importance(made, SPACE, ONE) == {}
    found = [warning for warning in recwarn if warning.category is not ResourceWarning]
    assert not found, "a file that an earlier test left open is none of its own"


def test_few_trials_say_nothing() -> None:
    assert importance(trials(19), SPACE, ONE) == {}
    same = [TrialRecord(n, {"optimizer.lr": 0.1}, "COMPLETE", 0.5, {}, None) for n in range(20)]
    assert importance(same, SPACE, ONE) == {}
