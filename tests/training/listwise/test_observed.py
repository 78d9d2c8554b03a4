"""Observed negatives as positives that count less; their gradient is in `test_gradients`."""

import pytest

from hbpr.errors import ConfigError
from hbpr.settings.load import with_values
from hbpr.training import Trainer


def test_who_saw_nothing_else_trains_as_before(data_of, settings_of):
    """Without observed negatives the weight of one does not matter."""
    data = data_of(3, 4, [(0, 1), (0, 2), (1, 2), (2, 0)])
    settings = settings_of(training={"negatives": {"kind": "all"}})
    weighed = with_values(settings, {"training.negatives.observed_as_positive": 0.5})
    found = [next(Trainer(data, each)).loss for each in (settings, weighed)]
    assert found[0] == found[1]


def test_counts_one_way_alone(settings_of):
    settings = settings_of(training={"negatives": {"kind": "all", "observed_weight": 3.0}})
    with pytest.raises(ConfigError, match=r"set observed_as_positive to 0, or observed_weight"):
        with_values(settings, {"training.negatives.observed_as_positive": 0.5})
