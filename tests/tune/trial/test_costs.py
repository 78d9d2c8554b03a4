import pytest

from hbpr.data import load_data
from hbpr.models import build_model
from hbpr.names import COSTS, ITEM_VECTOR_BYTES, SCORE_CPU_MS
from hbpr.settings.models import MODELS, DataSettings
from tune.trial.costs import measure_costs


def model(n_items: int, **settings: object):
    shape = {"n_users": 40, "n_items": n_items, "n_shown": 20}
    data = load_data(DataSettings.model_validate({"source": "synthetic", "synthetic": shape}))
    return build_model(MODELS.validate(settings), data, seed=0)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"n_latent": 8}, 8),
        ({"kind": "neumf", "n_latent": 8, "n_latent_mlp": 4, "hidden": [4]}, 12),
    ],
)
def test_bytes_are_those_of_the_item_vectors(settings, size) -> None:
    assert measure_costs(model(50, **settings), [ITEM_VECTOR_BYTES]) == {
        ITEM_VECTOR_BYTES: 50 * size * 4
    }


def test_more_to_score_takes_longer() -> None:
    few, many = (measure_costs(model(n, n_latent=64), COSTS) for n in (50, 5000))
    assert many[SCORE_CPU_MS] > 2 * few[SCORE_CPU_MS] > 0.0
