"""What a study says at its start of how its settings use observed negatives."""

from typing import Any

import pytest

from hbpr.data.load import load_data
from tune.settings import StudySettings, make_plan
from tune.study.run import _remark

RATES = {"optimizer.lr": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("negatives", "space", "candidates", "said"),
    [
        ({"kind": "all", "observed_weight": 3}, RATES, "unseen", "never ranks"),
        ({"kind": "all", "observed_weight": 3}, RATES, "all", None),
        ({"kind": "uniform"}, RATES, "all", "does not tell"),
        ({"kind": "uniform"}, {"training.negatives.per_positive": [1, 2]}, "all", None),
        ({"kind": "auto"}, RATES, "unseen", None),
    ],
)
def test_a_study_says_so_before_it_searches(
    negatives: Any, space: Any, candidates: str, said: str | None
) -> None:
    settings = StudySettings.model_validate(
        {
            "data": {
                "source": "synthetic",
                "candidates": candidates,
                "synthetic": {"n_users": 230, "n_items": 60, "n_shown": 30},
            },
            "model": {"similarity": "cosine"},
            "training": {"loss_function": "softmax_loss", "negatives": negatives},
            "sweep": {"space": space, "num_trials": 2},
        }
    )
    words = _remark(make_plan(settings), load_data(settings.data))
    assert (words is None) if said is None else (words is not None and said in words)
