import datetime
import decimal
import uuid

import numpy as np
import pyarrow as pa
import pytest

from hbpr.data import normal
from hbpr.errors import DataError

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([10.0, float("nan"), None, -0.0]), ["10", None, None, "0"]),
        (pa.array([10.5, 1e20]), ["10.5", "1e+20"]),
        (pa.array([4.1, 7], pa.float32()), ["4.1", "7"]),
        (pa.array(np.array([4.1, 7], np.float16)), ["4.1", "7"]),
        (pa.array([b"u1", b"", None]), ["u1", None, None]),
        (pa.array([b"ab"], pa.binary(2)), ["ab"]),
        (pa.array([decimal.Decimal("10.00"), decimal.Decimal("-3.50")]), ["10", "-3.50"]),
        (pa.array(["NA", "", "null"], pa.large_string()), ["NA", None, "null"]),
        (pa.array(["NA", ""], pa.string_view()), ["NA", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([datetime.date(2024, 1, 31)]), ["2024-01-31"]),
        (pa.array([uuid.UUID(int=5).bytes], pa.uuid()), [str(uuid.UUID(int=5))]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda each: str(getattr(each, "type", "")),
)
def test_an_id_is_the_text_that_a_file_shows(column, texts):
    assert normal.ids(column, "c").to_pylist() == texts


def test_what_has_no_text_is_refused():
    with pytest.raises(DataError, match=r"column 'u' holds bytes that are no UTF-8 .* b'\\xff'"):
        normal.ids(pa.array([b"a", b"\xff"]), "column 'u'")
    with pytest.raises(DataError, match="is of type list<item: string>"):
        normal.ids(pa.array([["a"]]), "column 'u'")


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        (pa.array([4.1], pa.float32()), [4.1]),
        (pa.array([" 5", "NA", "", "NaN", "+2", "1e3"]), [5.0, None, None, None, 2.0, 1000.0]),
        (pa.array([decimal.Decimal("4.10")]), [4.1]),
        (pa.array([True, None]), [1.0, None]),
        (pa.array(["True", "false", ""]), [1.0, 0.0, None]),
        (pa.array([2**63], pa.uint64()), [2.0**63]),
        (pa.array([float("nan"), 2.0]), [None, 2.0]),
        (pa.array([b"5"]), [5.0]),
    ],
    ids=lambda each: str(getattr(each, "type", "")),
)
def test_a_number_is_what_is_written(column, numbers):
    assert normal.numbers(column, "c").to_pylist() == numbers


def test_missing_texts_are_a_setting():
    assert normal.ids(pa.array(["-", "x", ""]), "c", ("", "-")).to_pylist() == [None, "x", None]
    assert normal.numbers(pa.array([-1, 2]), "c", ("-1",)).to_pylist() == [None, 2.0]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["5", "x"], "must hold numbers, got 'x'"),
        (["1e400"], "must hold finite numbers, got '1e400'"),
        ([float("inf")], "must hold finite numbers, got inf"),
        ([datetime.date(2024, 1, 1)], "got a column of type date32"),
    ],
)
def test_what_is_no_number_is_named(column, said):
    with pytest.raises(DataError, match=said):
        normal.numbers(pa.array(column), "column 'stars'")


NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2024-01-01", NOON - 12 * 3600),
        ("2024-01-01T12:00", NOON),
        ("2024-01-01 12:00:00", NOON),
        ("2024-01-01 14:00:00.123456789+02:00", NOON + 0.123456),  # pandas
        ("2024-01-01T12:00:00.1234567Z", NOON + 0.123456),  # .NET
        ("2024-01-01T12:00:00.123456789Z", NOON + 0.123456),  # Go, Java
        ("2024-01-01T12:00:00.000000+0000", NOON),  # polars
        ("2024-01-01 12:00:00 +0000 UTC", NOON),  # Go, String()
        ("2024-01-01 13:00:00.5 +0100 CET m=+0.00001", NOON + 0.5),
        ("2024-01-01T13:00:00+01:00[Europe/Berlin]", NOON),  # Java, ZonedDateTime
        ("2024-01-01T06:30:00-05:30", NOON),
        ("1704110400", NOON),
    ],
)
def test_times_as_people_and_programs_write_them(written, seconds):
    found, _ = normal.times(pa.array([written, ""]), "c")
    assert found.to_pylist() == [pytest.approx(seconds, abs=1e-6), None]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_timestamps_of_any_unit_and_zone(unit, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    column = pa.array([int(NOON) * per_second, None], pa.timestamp(unit, zone))
    assert normal.times(column, "c")[0].to_pylist() == [NOON, None]


def test_nanoseconds_are_cut_as_digits_are():
    column = pa.array([1_704_110_400_123_456_789, -1], pa.timestamp("ns"))
    found, _ = normal.times(column, "c")
    texts, _ = normal.times(
        pa.array(["2024-01-01T12:00:00.123456789Z", "1969-12-31T23:59:59.999999999Z"]), "c"
    )
    assert found.equals(texts)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["2024-01-01", "31.01.2026"], "got '31.01.2026'"),
        (["2024-13-01"], "got '2024-13-01'"),
        (["1", "2024-01-01"], "got both in one column"),
        ([["a"]], "got a column of type list"),
    ],
)
def test_what_is_no_time_is_named(column, said):
    with pytest.raises(DataError, match=said):
        normal.times(pa.array(column), "column 'at'")
