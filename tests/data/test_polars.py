"""Frames and columns of polars, of every type, as those of files."""

import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from hbpr import UserItemData
from hbpr.errors import DataError

AT = [datetime.datetime(2024, 1, day, 10, tzinfo=datetime.UTC) for day in (1, 2, 3)]
SECONDS = [each.timestamp() for each in AT]


def users_of(column):
    frame = pl.DataFrame({"user": column, "item": [1, 2, 3]})
    return UserItemData.from_frame(frame).assemble().user_ids.tolist()


@pytest.mark.parametrize(
    ("dtype", "values", "ids"),
    [
        (pl.String, ["b", "a", "b"], ["a", "b"]),
        (pl.Categorical, ["b", "a", "b"], ["a", "b"]),
        (pl.Enum(["a", "b", "unused"]), ["b", "a", "b"], ["a", "b"]),
        (pl.Binary, [b"b", b"a", b"b"], ["a", "b"]),
        (pl.Int8, [2, 1, 2], [1, 2]),
        (pl.UInt64, [2, 1, 2], [1, 2]),
        (pl.Float32, [2.0, 1.0, 2.0], [1, 2]),
        (pl.Float64, [2.0, None, 2.0], [2]),
        (pl.Decimal(10, 2), [Decimal("2.00"), Decimal("1.00"), None], [1, 2]),
        (pl.Boolean, [True, False, True], ["false", "true"]),
        (pl.Date, [AT[0].date(), None, AT[0].date()], ["2024-01-01"]),
    ],
    ids=str,
)
def test_ids_of_every_type(dtype, values, ids):
    assert users_of(pl.Series(values, dtype=dtype)) == ids
    if None not in values and dtype not in (pl.Float32, pl.Boolean, pl.Date):
        data = UserItemData("d")
        data.add_positive_interactions(pl.Series(values, dtype=dtype), pl.Series([1, 2, 3]))
        data.add_user_features(pl.Series(values, dtype=dtype), pl.Series(["x", "y", "x"]))
        assert data.assemble().user_ids.tolist() == ids
        assert data.to_interactions().user_feature_names == ("x", "y")


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_of_every_unit_and_zone(unit, zone):
    here = [each.astimezone(ZoneInfo(zone or "UTC")) for each in AT]
    values = here if zone else [each.replace(tzinfo=None) for each in here]
    column = pl.Series(values, dtype=pl.Datetime(unit, zone))
    frame = pl.DataFrame({"user": [1, 2, 3], "item": [1, 2, 3], "at": column})
    data = UserItemData.from_frame(frame, time="at")
    assert data.assemble().positive_times.tolist() == SECONDS
    data = UserItemData("d")
    data.add_positive_interactions([1, 2, 3], [1, 2, 3], times=column)
    assert data.assemble().positive_times.tolist() == SECONDS


@pytest.mark.parametrize("column", [[[1], [2], [3]], [{"a": 1}, {"a": 2}, {"a": 3}]])
def test_nested_columns_are_refused(column):
    with pytest.raises(DataError, match=r"column 'user' is of type .*no single value a row"):
        users_of(pl.Series(column))


def test_categories_are_events_and_numbers_are_values():
    frame = pl.DataFrame(
        {
            "user": ["a", "a", "b"],
            "item": [1, 2, 1],
            "what": pl.Series(["buy", "view", "buy"], dtype=pl.Categorical),
            "stars": pl.Series([5, 1, 4], dtype=pl.UInt8),
        }
    )
    bought = UserItemData.from_frame(frame, event="what", positive_events=["buy"])
    assert (bought.n_positives, bought.n_negatives) == (2, 0)
    rated = UserItemData.from_frame(frame.lazy().collect(), value="stars")
    assert (rated.n_positives, rated.n_negatives) == (2, 1)
