"""What is said of observed negatives that training makes little of."""

import dataclasses

import pytest

from hbpr.training.remarks import misplaced_negatives, unused_negatives
from hbpr.training.trainer import Trainer


class TestUnusedObserved:
    @pytest.mark.parametrize(
        ("negatives", "words"),
        [
            ({"kind": "uniform"}, "kind uniform does not tell"),
            ({"kind": "all"}, "count as any other item"),
            ({"kind": "all", "observed_weight": 2.0}, None),
            ({"kind": "all", "observed_as_positive": 0.2}, None),
            ({"kind": "mixed"}, None),
        ],
    )
    def test_is_said_in_words(self, synthetic, settings_of, negatives, words):
        settings = settings_of(training={"negatives": negatives})
        said = unused_negatives(settings.training.negatives, synthetic())
        assert (said is None) if words is None else (said is not None and words in said)

    @pytest.mark.parametrize(
        ("negatives", "unseen", "said"),
        [
            ({"kind": "all", "observed_weight": 3.0}, True, True),
            ({"kind": "all", "observed_weight": 3.0}, False, False),
            ({"kind": "all"}, True, False),
            ({"kind": "all", "observed_as_positive": 0.2}, True, False),
            ({"kind": "mixed"}, True, False),
        ],
    )
    def test_what_is_no_candidate_need_not_be_pushed_down(
        self, synthetic, settings_of, negatives, unseen, said
    ):
        settings = settings_of(training={"negatives": negatives})
        data = dataclasses.replace(synthetic(), unseen=unseen)
        words = misplaced_negatives(settings.training.negatives, data)
        assert (words is not None) == said
        assert not said or "observed_as_positive 0.2" in words

    def test_is_said_once(self, synthetic, settings_of, caplog, monkeypatch):
        monkeypatch.setattr("hbpr.training.trainer._SAID", set())
        caplog.set_level("INFO", "hbpr.training.trainer")
        for seed in (0, 1):
            Trainer(synthetic(), settings_of(training={"seed": seed}))
        assert sum("observed negatives" in record.message for record in caplog.records) == 1
