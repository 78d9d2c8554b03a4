"""The model, data and space that the sides of ``search_speed`` in hbpr's environment share."""

import sys
from pathlib import Path
from typing import Any

from hbpr.data.interactions import Interactions
from hbpr.settings.load import with_values
from hbpr.settings.models import TrialSettings

sys.path.append(str(Path(__file__).resolve().parents[1]))
from shapes import read

#: Dotted setting -> bounds, drawn on a log scale.
SPACE = {
    "optimizer.lr": (0.01, 0.5),
    "optimizer.reg_user": (1e-4, 0.1),
    "optimizer.reg_positive": (1e-4, 0.1),
    "optimizer.reg_negative": (1e-4, 0.1),
}
METRIC = "val/ndcg_at_10"


def sections(request: dict[str, Any]) -> dict[str, Any]:
    """Sections of a trial's settings: MF, BPR, no early stopping."""
    settings = request["settings"]
    return {
        "model": {"kind": "mf", "n_latent": settings["d"], "item_bias": True},
        "optimizer": {"name": "adagrad"},
        "training": {
            "engine": "fused",
            "loss_function": "bpr_loss",
            "n_iter": settings["epochs"],
            "eval_every": settings["eval_every"],
            "top_k": [10, 20],
            "early_stopping_patience": 0,
            "monitor": METRIC,
        },
    }


def data_of(request: dict[str, Any]) -> Interactions:
    """The data of a request."""
    return read(Path(request["data"]))


def settings_of(request: dict[str, Any], values: dict[str, float]) -> TrialSettings:
    """Settings of one trial."""
    return with_values(TrialSettings.model_validate(sections(request)), values)
