import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.data.ids import catalogue, encode
from hbpr.errors import DataError

KINDS = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "str": st.text(max_size=5).filter(lambda s: not s.endswith("\0")),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "tuple": st.tuples(st.integers(0, 3), st.text("ab", max_size=1)),
}


def _kind(column: object) -> str:
    return f"{type(column).__name__}-{getattr(column, 'dtype', '')}"


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_catalogue_gives_every_row_its_id_back(kind, data):
    columns = data.draw(st.lists(st.lists(KINDS[kind], min_size=1, max_size=8), max_size=3))
    coded = [encode(column, "ids") for column in columns]
    assert all(c.kind == kind for c in coded)
    ids, rows = catalogue(coded)
    assert len(set(ids.tolist())) == len(ids) == len({v for column in columns for v in column})
    for column, row in zip(columns, rows, strict=True):
        assert ids[row].tolist() == column
    if kind != "tuple":
        assert ids.tolist() == sorted(ids.tolist())


@pytest.mark.parametrize(
    "column",
    [
        [3, 1, 3],
        np.array([3, 1, 3], np.int8),
        np.array([3, 1, 3], np.uint64),
        np.array([3, 1, 3], object),
        pd.Series([3, 1, 3], dtype="Int64"),
        pd.Series([3, 1, 3], dtype="category"),
        pd.Index([3, 1, 3]),
        (i for i in (3, 1, 3)),
        [np.int32(3), 1, np.int64(3)],
    ],
    ids=_kind,
)
def test_every_width_and_container_of_integers_is_one_kind(column):
    coded = encode(column, "ids")
    assert coded.kind == "int"
    ids, [rows] = catalogue([coded])
    assert (ids.tolist(), ids.dtype, rows.tolist()) == ([1, 3], np.int64, [1, 0, 1])


@pytest.mark.parametrize(
    "column",
    [["b", "a"], np.array(["b", "a"]), pd.Series(["b", "a"]), pd.Series(["b", "a"], dtype=object)],
    ids=_kind,
)
def test_every_container_of_strings_is_one_kind(column):
    ids, [rows] = catalogue([encode(column, "ids")])
    assert (ids.dtype.kind, ids.tolist(), rows.tolist()) == ("U", ["a", "b"], [1, 0])


def test_other_hashables_keep_first_appearance():
    days = [datetime.date(2020, 1, 2), datetime.date(2020, 1, 1)]
    ids, _ = catalogue([encode(days, "ids")])
    assert ids.tolist() == days
    ids, [rows] = catalogue([encode(np.array(["2020-01-02", "2020-01-01"], "M8[D]"), "ids")])
    assert rows.tolist() == [0, 1]
    assert catalogue([encode([True, False, True], "ids")])[1][0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "column", [[], np.array([]), pd.Series([], dtype=object), iter(())], ids=_kind
)
def test_a_column_without_rows_has_no_kind(column):
    assert encode(column, "ids") is None


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([1, "1"], r"one type, got int \(1\) and str \('1'\)"),
        ([1, 1.0], r"one type, got int \(1\) and float \(1.0\)"),
        ([1, True], r"one type, got int \(1\) and bool \(True\)"),
        ([(1,), "a"], "tuple"),
        ([1, None, None], r"2 of 3 ids are missing .* first in row 1 \(None\)"),
        (["a", float("nan")], "row 1"),
        (np.array([1.0, 2.0, np.nan]), r"1 of 3 .* row 2 \(nan\)"),
        ([1.0, float("inf")], "row 1"),
        (pd.Series([1, None], dtype="Int64"), "row 1"),
        (pd.Series(["a", None]), "row 1"),
        (np.array(["2020-01-01", "NaT"], "M8[D]"), "row 1"),
        ([[1], [2]], "hashable"),
        ([2**63], "64 bits"),
        (np.array([2**63], np.uint64), "64 bits"),
        (["a\0"], "NUL"),
        (np.zeros((2, 2), int), "one-dimensional"),
        (np.array(3), "one-dimensional"),
        ("abc", "one-dimensional"),
        (3, "one-dimensional"),
        (None, "one-dimensional"),
    ],
    ids=str,
)
def test_unusable_ids_are_refused_in_plain_words(column, said):
    with pytest.raises(DataError, match=said) as raised:
        encode(column, "shop: users")
    assert str(raised.value).startswith("shop: users: ")
