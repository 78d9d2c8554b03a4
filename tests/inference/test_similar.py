import numpy as np
import pytest

from hbpr.data.interactions import UserItems
from hbpr.errors import ConfigError
from hbpr.inference.similar import popularity_penalty
from hbpr.neighbours import cosine_scorer


def _pairs(dense: np.ndarray) -> UserItems:
    rows, items = np.nonzero(dense)
    return UserItems.from_pairs(rows, items, n_users=len(dense), n_items=dense.shape[1])


def test_the_penalty_grows_with_the_log_of_popularity() -> None:
    train = _pairs(np.array([[1, 1, 0], [1, 0, 0], [1, 0, 0]]))
    penalty = popularity_penalty(train, discount=0.5)
    np.testing.assert_allclose(penalty, [0.5, 0.25, 0.0])
    assert popularity_penalty(_pairs(np.zeros((2, 2))), discount=1.0).tolist() == [0.0, 0.0]
    with pytest.raises(ConfigError, match="at least 0 and finite, got nan"):
        popularity_penalty(train, discount=float("nan"))


def test_an_item_without_a_vector_is_like_no_other() -> None:
    cosines = cosine_scorer(np.array([[3.0, 4.0], [0.0, 0.0], [6.0, 8.0]], np.float32))
    np.testing.assert_allclose(cosines(np.array([0, 1])), [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
