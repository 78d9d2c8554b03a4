"""Parts of one's own arrive in another process, which has no file of theirs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray import cloudpickle

from hbpr.contracts.metric import forget_metric, metrics_in_use
from hbpr.errors import ConfigError
from hbpr.settings.models import MODELS, TrialSettings
from hbpr.training.losses import LOSSES
from tune.trial import parts
from tune.trial.parts import sent

ROOT = Path(__file__).parents[3]
MODULE = """
import numpy as np
import torch
from numba import njit
from hbpr.models import MatrixFactorization
from hbpr.training.losses.kind import LossKind

def squared(positive_B, negative_BN):
    return _gap(positive_B.unsqueeze(1), negative_BN).square().sum(1)

def _gap(positive, negative):
    return 1.0 - (positive - negative)

@njit(nogil=True)
def gradient(positive, negatives, falls, weights):
    rise, total = np.float32(0.0), 0.0
    for n in range(len(negatives)):
        gap = np.float32(1.0) - (positive - negatives[n])
        falls[n] = np.float32(2.0) * gap
        rise, total = rise + falls[n], total + gap * gap
    return rise, total

SQUARED = LossKind(squared, gradient)

def first_rank(ranks):
    return 1.0 / (1.0 + ranks.ranks[ranks.indptr[:-1]])

class Wide(MatrixFactorization):
    def __init__(self, user_features, item_features, *, n_latent: int = 4, seed: int = 0):
        super().__init__(user_features, item_features, n_latent=n_latent, seed=seed)
"""
#: What a worker does, far from the module's file.
ARRIVE = """
import pickle, sys
from hbpr.data import load_data
from hbpr.training import Trainer
settings = pickle.load(open(sys.argv[1], "rb"))
trainer = Trainer(load_data(settings.data), settings)
reports = list(trainer)
assert reports[-1].loss < reports[0].loss
own = [name for name in reports[-1].metrics if "first" in name]
print(trainer.engine_name, type(trainer.model).__name__, own)
assert "local_parts" not in sys.modules
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "local_parts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import local_parts

    yield local_parts
    del sys.modules["local_parts"]
    for name, path in metrics_in_use().items():
        if path.startswith("local_parts"):
            forget_metric(name)
    for kind in [each for each in MODELS.own if each.startswith("local_parts")]:
        MODELS.remove(kind)


def settings(**sections: Any) -> TrialSettings:
    small = {"n_users": 60, "n_items": 40, "n_shown": 20}
    raw: dict[str, Any] = {
        "data": {"source": "synthetic", "synthetic": small},
        "optimizer": {"lr": 0.02},
        "training": {"n_iter": 3, "eval_every": 3},
    }
    for name, section in sections.items():
        raw[name] = raw.get(name, {}) | section
    return TrialSettings.model_validate(raw)


def arrive(asked: TrialSettings, folder: Path) -> str:
    """Train in a process that cannot import the module; return what it said."""
    packed = folder / "settings.pickle"
    packed.write_bytes(cloudpickle.dumps(sent(asked)))
    away = folder / "away"
    away.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ARRIVE, str(packed)],
        cwd=away,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_a_model_a_loss_and_a_metric_arrive(module: Any, tmp_path: Path) -> None:
    asked = settings(
        model={"kind": "local_parts:Wide", "n_latent": 3},
        training={"loss_function": "local_parts:squared", "metrics": ["local_parts:first_rank"]},
    )
    assert arrive(asked, tmp_path) == "autograd Wide ['val/first_rank']"


def test_a_compiled_loss_that_was_added_arrives(module: Any, tmp_path: Path) -> None:
    LOSSES.add("squared_here", module.SQUARED)
    try:
        asked = settings(training={"loss_function": "squared_here"})
        assert arrive(asked, tmp_path) == "fused MatrixFactorization []"
    finally:
        LOSSES.remove("squared_here")


def test_at_home_they_stay_what_they_are(module: Any) -> None:
    asked = settings(model={"kind": "local_parts:Wide"})
    again = cloudpickle.loads(cloudpickle.dumps(sent(asked)))
    assert again == asked
    assert MODELS.own["local_parts:Wide"] is module.Wide


def test_what_cannot_be_sent_is_told(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_gap", sys._getframe())  # a frame cannot be pickled
    LOSSES.add("squared_here", module.SQUARED)
    try:
        with pytest.raises(ConfigError, match="squared_here: it cannot be sent to the processes"):
            cloudpickle.dumps(sent(settings(training={"loss_function": "squared_here"})))
    finally:
        LOSSES.remove("squared_here")


def test_what_does_not_arrive_whole_is_told() -> None:
    packed = {"local_parts:squared": b"cnowhere\nsquared\n."}
    with pytest.raises(ConfigError, match=r"cannot be put together on node .*No module named 'now"):
        parts._arrive("another", packed, {}, b"")


@pytest.mark.parametrize(
    ("part", "local"),
    [(torch.nn.functional.relu, False), (np.mean, False), (settings, True), (sent, False)],
)
def test_where_a_part_is_from(part: Any, local: bool) -> None:
    assert bool(parts._local_modules(part)) == local
