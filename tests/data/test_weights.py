"""What becomes of the weights of interactions, and the warning of those that span decades."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hbpr.data import UserItemData, load_data
from hbpr.data.interactions import UserItems
from hbpr.data.weights import spread, transformed
from hbpr.errors import ConfigError, DataError
from hbpr.settings.load import with_values
from hbpr.settings.models import DataSettings, RowsSettings, TrialSettings

RULES = {
    "none": lambda w: w,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "cap": lambda w: np.minimum(w, 10.0),
}
WEIGHTS = arrays(np.float32, st.integers(1, 60), elements=st.floats(2**-10, 1e6, width=32))


def cap_of(how):
    return 10.0 if how == "cap" else None


def made(weights, name="plays"):
    data = UserItemData(name)
    data.add_positive_interactions(np.zeros(len(weights), int), np.arange(len(weights)), weights)
    return data


@pytest.mark.parametrize("how", RULES)
@given(weights=WEIGHTS)
def test_transforms_are_their_formulas_and_keep_the_order(how, weights):
    n = len(weights)
    pairs = UserItems.from_pairs(np.zeros(n), np.arange(n), n_users=1, n_items=n, weights=weights)
    found = transformed(pairs, how, cap_of(how)).weights
    np.testing.assert_allclose(found, RULES[how](weights.astype(np.float64)), rtol=1e-6)
    assert (found > 0).all()
    assert (np.diff(found[np.argsort(weights)]) >= 0).all()


@given(weights=WEIGHTS)
def test_the_spread_is_what_sorting_says(weights):
    found = spread(weights)
    ordered = np.sort(weights.astype(np.float64))[::-1]
    n = -(-len(weights) // 100)
    assert found.heaviest_share == pytest.approx(ordered[:n].sum() / ordered.sum(), rel=1e-5)
    assert (found.least, found.most) == (ordered[-1], ordered[0])
    assert found.median == pytest.approx(np.median(weights.astype(np.float64)), rel=1e-6)
    assert found.decades == pytest.approx(np.log10(ordered[0] / ordered[-1]))


def test_a_pair_is_weighed_with_its_repeated_rows_added_up():
    data = UserItemData("repeated")
    data.add_positive_interactions([1, 1, 1, 2], [5, 5, 6, 5], [1.0, 2.0, 8.0, 3.0])
    data.add_negative_interactions([2], [6], [3.0])
    data.transform_weights("log1p")
    found = data.to_interactions()
    assert sorted(_all_weights(found)) == pytest.approx(np.log1p([3.0, 3.0, 8.0]))
    assert data.assemble().positives.weights.tolist() == [3.0, 8.0, 3.0]  # as they were added
    assert found.train_negatives.weights.tolist() == pytest.approx(np.log1p([3.0]))


def _all_weights(data):
    return np.concatenate([part.weights for part in (data.train, data.validation, data.test)])


def test_wide_weights_are_warned_of_with_their_numbers(caplog):
    weights = np.ones(200)
    weights[:2] = 2_001.0
    made(weights).to_interactions()
    (said,) = [each.message for each in caplog.records if "decades" in each.message]
    assert "plays: weights run from 1 (median 1) to 2001, over 3.3 decades" in said
    assert "heaviest 1 % of 200 positives would take 95 % of the visits" in said
    assert "transform: log1p" in said
    assert 'transform_weights("log1p")' in said


@pytest.mark.parametrize(
    ("heaviest", "how", "warned"),
    [(1_000.0, "none", False), (1_001.0, "none", True), (1e6, "log1p", False), (1e8, "sqrt", True)],
)
def test_the_warning_looks_at_what_training_reads(caplog, heaviest, how, warned):
    data = made([1.0, heaviest])
    data.transform_weights(how)
    data.to_interactions()
    assert ("decades" in caplog.text) == warned
    assert (f"after {how}" in caplog.text) == (warned and how != "none")


def test_frames_take_a_column_or_a_section(caplog):
    frame = {"user": [1, 1, 2], "item": [1, 2, 1], "plays": [1.0, 5.0, 300_000.0]}
    plain = UserItemData.from_frame(frame, weight="plays")
    logged = UserItemData.from_frame(frame, weight={"column": "plays", "transform": "log1p"})
    with caplog.at_level(logging.WARNING):
        plain_data = plain.to_interactions()
        assert "5.5 decades" in caplog.text
        caplog.clear()
        logged_data = logged.to_interactions()
        assert "decades" not in caplog.text
    np.testing.assert_allclose(
        _all_weights(logged_data), np.log1p(_all_weights(plain_data)), rtol=1e-6
    )


def test_the_choice_is_saved_and_weights_stay_as_they_were_added(tmp_path):
    data = made([1.0, 100.0, 3.0])
    data.transform_weights("cap", 10.0)
    data.save(tmp_path / "plays.npz")
    again = UserItemData.load(tmp_path / "plays.npz")
    assert again.assemble().positives.weights.tolist() == [1.0, 100.0, 3.0]
    assert sorted(_all_weights(again.to_interactions())) == [1.0, 3.0, 10.0]
    assert again.to_interactions().fingerprint == data.to_interactions().fingerprint


def test_a_transform_changes_what_is_learnt_from_and_not_the_exam():
    one, other = made(np.arange(1.0, 40.0)), made(np.arange(1.0, 40.0))
    other.transform_weights("sqrt")
    raw, root = one.to_interactions(), other.to_interactions()
    assert raw.fingerprint != root.fingerprint
    for part in ("train", "validation", "test"):
        assert (getattr(raw, part).items == getattr(root, part).items).all()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"transform": "log"}, "transform"),
        ({"transform": "cap"}, "transform cap needs cap"),
        ({"transform": "cap", "cap": 0.0}, "cap"),
        ({"transform": "sqrt", "cap": 5.0}, "cap is for transform cap, got cap 5 beside"),
        ({"cap": 5.0}, "cap is for transform cap, got cap 5 beside transform none"),
    ],
)
def test_bad_transforms_are_refused(section, said):
    with pytest.raises(DataError, match=said):
        UserItemData.from_frame(
            {"user": [1], "item": [1], "w": [1.0]}, weight={"column": "w"} | section
        )
    with pytest.raises(DataError, match=f"transform_weights.*{said}"):
        made([1.0]).transform_weights(**({"transform": "none"} | section))


def test_the_column_of_a_section_has_one_role_as_well():
    with pytest.raises(ValueError, match="named twice, as user and as weight"):
        RowsSettings(weight={"column": "user", "transform": "sqrt"})


class TestAsADimension:
    @pytest.fixture
    def base(self, tmp_path):
        path = tmp_path / "plays.csv"
        rows = [f"{user},{item},{(user * item) % 7 + 1}" for user in range(30) for item in range(5)]
        path.write_text("\n".join(["user,item,plays", *rows]))
        table = {"path": str(path), "weight": "plays"}
        return TrialSettings(data=DataSettings(source="table", name="plays", table=table))

    @pytest.mark.parametrize("how", ["log1p", "sqrt"])
    def test_its_values_are_laid_over_the_short_form(self, base, how):
        data = with_values(base, {"data.table.weight.transform": how}).data
        assert (data.table.weight.column, data.table.weight.transform) == ("plays", how)
        found, raw = load_data(data), load_data(base.data)
        np.testing.assert_allclose(found.train.weights, RULES[how](raw.train.weights), rtol=1e-6)

    def test_a_cap_comes_with_its_value(self, base):
        values = {"data.table.weight.transform": "cap", "data.table.weight.cap": 2.0}
        assert load_data(with_values(base, values).data).train.weights.max() == 2.0
        with pytest.raises(ConfigError, match="transform cap needs cap"):
            with_values(base, {"data.table.weight.transform": "cap"})
