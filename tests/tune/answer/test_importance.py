import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from hbpr.settings.models import TrialSettings
from hbpr.tracking.findings import LEAST_TRIALS
from hbpr.tracking.records import TrialRecord
from tune.answer.ends import expected_ends
from tune.answer.importance import importance
from tune.settings.goals import Goals, Objective
from tune.space import Space
from tune.space.check import check_space

NDCG, BYTES = "val/ndcg_at_10", "item_vector_bytes"
ONE = Goals((Objective(NDCG, "max"),))
TWO = Goals((Objective(NDCG, "max"), Objective(BYTES, "min")))
LOSS, KIND = "training.loss_function", "training.negatives.kind"
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
        measured = {1: {NDCG: value, BYTES: 4.0 * values["model.n_latent"]}}
        made.append(
            TrialRecord(number, values, "COMPLETE", value, {1: value}, None, measured=measured)
        )
    return made


def best(made: list[TrialRecord]) -> int:
    return max(made, key=lambda trial: trial.value or -9.0).number


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    path = Path(__file__).parents[2] / "fixtures" / "importance.json"
    return json.loads(path.read_text())


def trials_of(recorded: dict[str, Any]) -> list[TrialRecord]:
    return [
        TrialRecord(
            each["number"],
            each["values"],
            each["state"],
            max(each["reports"].values()),
            {int(epoch): value for epoch, value in each["reports"].items()},
        )
        for each in recorded["trials"]
    ]


def really_costs(recorded: dict[str, Any]) -> dict[str, float]:
    """Return what each setting costs at the winner, measured by training it with other values."""
    return {
        key: fmean(recorded["at_winner"]) - fmean(fmean(values) for _, values in rows)
        for key, rows in recorded["changed"].items()
    }


def test_a_search_that_narrowed_down_early_still_tells_what_it_costs_to_change(recorded) -> None:
    """Shares of what separates the best tenth from all said 3 % of the loss and 63 % of lr."""
    made = trials_of(recorded)
    complete = [trial for trial in made if trial.state == "COMPLETE"]
    (found,) = importance(made, Space.parse(recorded["space"]), ONE, best(complete))
    assert (found.n_trials, found.n_stopped) == (64, 54)
    truth = really_costs(recorded)
    assert truth[LOSS] > 0.025
    assert [each.setting for each in found.effects[:2]] == [KIND, LOSS]
    assert sorted(truth, key=truth.__getitem__)[:-3:-1] == [KIND, LOSS]
    assert all(each.low > 0.0 for each in found.effects[:2])
    missed = [
        max(each.low - truth[each.setting], truth[each.setting] - each.high)
        for each in found.effects
    ]
    assert sum(miss > 0.001 for miss in missed) <= 1, missed


def test_where_the_loss_costs_most_it_comes_first(recorded) -> None:
    """The same study without the other setting that decides: trials of one kind of negatives."""
    made = [trial for trial in trials_of(recorded) if trial.values[KIND] == "uniform"]
    space = Space.parse(
        {
            key: raw
            for key, raw in recorded["space"].items()
            if not key.endswith(("kind", "observed"))
        }
    )
    (found,) = importance(made, space, ONE, best([t for t in made if t.state == "COMPLETE"]))
    truth = really_costs(recorded)
    del truth[KIND]
    assert found.effects[0].setting == max(truth, key=truth.__getitem__) == LOSS
    assert 0.0 < found.effects[0].low < truth[LOSS] < found.effects[0].high


def test_the_setting_that_decides_comes_first() -> None:
    made = trials(60)
    (found,) = importance(made, SPACE, ONE, best(made))
    costs = [each.cost for each in found.effects]
    assert costs == sorted(costs, reverse=True)
    lr = found.effects[0]
    assert lr.setting == "optimizer.lr"
    assert lr.cost == pytest.approx(0.5, abs=0.1), "the mean distance, in powers of ten"
    assert all(abs(each.cost) < 0.1 for each in found.effects[1:])
    assert {"model.n_latent", KIND} <= {each.setting for each in found.effects}


def test_each_objective_has_its_own() -> None:
    made = trials(60)
    first, second = importance(made, SPACE, TWO, best(made))
    assert (first.metric, second.metric) == (NDCG, BYTES)
    assert first.effects[0].setting == "optimizer.lr"
    size = next(each for each in second.effects if each.setting == "model.n_latent")
    assert abs(size.cost) == max(abs(each.cost) for each in second.effects)
    winner = made[best(made)].values["model.n_latent"]
    expected = fmean(4.0 * other - 4.0 * winner for other in {8, 16, 32} - {winner})
    assert size.cost == pytest.approx(expected, abs=3.0), "more bytes cost, fewer gain"


def test_few_trials_say_nothing() -> None:
    made = trials(LEAST_TRIALS - 1)
    (found,) = importance(made, SPACE, ONE, best(made))
    assert (found.n_trials, found.effects) == (LEAST_TRIALS - 1, ())
    same = [replace(t, value=0.5, reports={1: 0.5}) for t in trials(30)]
    assert importance(same, SPACE, ONE, 0)[0].effects == ()
    copies = [replace(t, parent=(0, 1, 2)) for t in trials(60)[1:]]
    assert importance([trials(1)[0], *copies], SPACE, ONE, 0)[0].n_trials == 1


def test_thousands_of_trials_are_thinned() -> None:
    made = trials(3000)
    (found,) = importance(made, SPACE, ONE, best(made))
    assert found.n_trials == 3000
    assert found.effects[0].setting == "optimizer.lr"


class TestEnds:
    def trial(self, state: str, *values: float) -> TrialRecord:
        reports = dict(enumerate(values, 1))
        return TrialRecord(0, {}, state, max(values), reports)

    def test_what_ran_to_its_end_is_known(self) -> None:
        ends = expected_ends([self.trial("COMPLETE", 0.1, 0.3, 0.2), self.trial("COMPLETE", 0.2)])
        assert ends.values.tolist() == [0.3, 0.2]
        assert not ends.covariance.any()

    def test_stopped_ones_gain_what_those_gained_that_went_on(self) -> None:
        ran = [self.trial("COMPLETE", 0.1 * n, 0.1 * n + 0.04, 0.1 * n + 0.06) for n in range(3, 9)]
        made = [*ran, self.trial("PRUNED", 0.35), self.trial("PRUNED", 0.3, 0.45)]
        ends = expected_ends(made)
        assert ends.values[-2] == pytest.approx(0.42, abs=0.02)
        assert ends.values[-1] == pytest.approx(0.47, abs=0.02)
        assert ends.covariance[-2, -2] > 0.0

    def test_the_further_below_the_less_is_known(self) -> None:
        ran = [self.trial("COMPLETE", 0.1 * n, 0.1 * n + 0.04) for n in range(3, 9)]
        near, far, other = (self.trial("PRUNED", value) for value in (0.29, 0.05, 0.06))
        errors = expected_ends([*ran, near, far, other]).covariance[-3:, -3:]
        assert errors[1, 1] > 1.5 * errors[0, 0]
        assert errors[1, 2] > 0.3 * errors[1, 1], "what is not known of one is not of the other"

    def test_without_one_that_ran_to_its_end_the_furthest_is_it(self) -> None:
        made = [
            self.trial("PRUNED", 0.2, 0.3),
            self.trial("PRUNED", 0.1),
            self.trial("PRUNED", 0.3, 0.4),
        ]
        ends = expected_ends(made)
        assert ends.values[[0, 2]].tolist() == [0.3, 0.4]
        assert 0.15 < ends.values[1] < 0.3
