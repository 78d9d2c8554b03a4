"""What the tests of all models share."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def check_scores() -> Callable[[Any, np.ndarray], None]:
    """Check what a model scores, in rows and pair by pair, against (U, I) scores."""

    def check(model: Any, expected: np.ndarray) -> None:
        n_users, n_items = expected.shape
        users, items = torch.arange(n_users), torch.arange(n_items).repeat(n_users, 1)
        np.testing.assert_allclose(model(users, items).detach(), expected, atol=1e-4)
        rng = np.random.default_rng(0)
        u, i = rng.integers(0, n_users, 50), rng.integers(0, n_items, 50)
        scores = model(torch.from_numpy(u), torch.from_numpy(i)).detach()
        np.testing.assert_allclose(scores, expected[u, i], atol=1e-4)

    return check
