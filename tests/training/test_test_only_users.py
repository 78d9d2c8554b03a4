"""A user with positives only in test is scored and counted, and teaches nothing."""

import numpy as np

from hbpr.data.interactions import Features, Interactions, UserItems
from hbpr.evaluation import evaluate
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer


def test_a_user_with_positives_only_in_test_is_scored_and_counted() -> None:
    def pairs(users: list[int], items: list[int]) -> UserItems:
        return UserItems.from_pairs(users, items, n_users=3, n_items=5)

    none = UserItems.empty(3, 5)
    data = Interactions(
        *("hand-made", pairs([0, 0, 1], [0, 1, 2]), none, pairs([0, 2], [3, 4])),
        *(none, none, none, Features.identity(3), Features.identity(5)),
        *(np.arange(3), np.arange(5)),
    )
    trainer = Trainer(data, TrialSettings.model_validate({"training": {"n_iter": 2}}))
    before = trainer.model.user_vectors()[2].copy()
    assert [report.epoch for report in trainer] == [1, 2]
    np.testing.assert_array_equal(trainer.model.user_vectors()[2], before)
    found = evaluate(trainer.model, data.test, exclude=data.train, top_k=[2], part="test")
    assert (found.n_users, found.n_skipped) == (2, 1)
