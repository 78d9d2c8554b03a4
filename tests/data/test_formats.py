"""The same values give the same data, whatever they are written in."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.formats import outcome, sources

#: Texts as people write them: numbers, what others take for missing, quotes, breaks, other scripts.
TEXTS = st.one_of(
    st.integers(-3, 12).map(str),
    st.sampled_from(
        ["", "NA", "null", "nan", "007", "10.0", "1e3", "+5", "-0", " x", "a,b", "a\tb", 'a "b"']
    ),
    st.sampled_from(["Zoë", "商店", "a|b", "x;y", "True", "false", "two\nlines", '"', "'", "inf"]),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4),
)
NUMBERS = st.one_of(
    st.integers(0, 6).map(str),
    st.sampled_from(["", "NA", "NaN", "4.1", "3.5", "1e-300", "9007199254740993", "1e300"]),
)
WRONG = st.sampled_from(["x", "1e999", "5,0", "2024-01-01", "--1"])
TIMES = st.sampled_from(
    [
        *["2024-01-01", "2024-01-01T10:00:00Z", "2024-01-01 12:00:00+02:00", ""],
        *["2024-01-02T10:00:00.1234567Z", "2024-03-01 10:00:00.5", "1999-12-31T23:59:59.999999999"],
    ]
)


@st.composite
def tables(draw):
    n_rows = draw(st.integers(1, 9))

    def column(values):
        return draw(st.lists(values, min_size=n_rows, max_size=n_rows))

    ids = draw(
        st.sampled_from([TEXTS, st.integers(-3, 12).map(str), st.sampled_from(["1", "2", ""])])
    )
    numbers = draw(st.sampled_from([NUMBERS, NUMBERS, st.one_of(NUMBERS, WRONG)]))
    return {
        "user": column(ids),
        "item": column(draw(st.sampled_from([TEXTS, st.integers(0, 9).map(str)]))),
        "stars": column(numbers),
        "at": column(TIMES),
    }


def check(folder, table):
    columns = {"value": "stars", "time": "at"}
    found = {name: outcome(source, columns) for name, source in sources(folder, table)}
    first = found["csv"]
    assert all(each == first for each in found.values()), (table, found)
    return first[0]


@given(table=tables())
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_every_format_gives_the_same_data_or_one_error(tmp_path, table):
    check(tmp_path, table)


@pytest.mark.parametrize("block", [64, 1000])
def test_blocks_change_nothing(tmp_path, monkeypatch, block):
    n = 200
    table = {
        "user": [f"u{k % 17}" if k % 5 else "" for k in range(n)],
        "item": [f'i "{k % 11}"\nline' for k in range(n)],
        "stars": [str(k % 6) for k in range(n)],
        "at": ["2024-01-01"] * n,
    }
    whole = {name: outcome(s, {"value": "stars"}) for name, s in sources(tmp_path / "a", table)}
    monkeypatch.setattr("hbpr.data.text_files._BLOCK", block)
    monkeypatch.setattr("hbpr.data.table_files._ROWS", block // 8)
    parts = {name: outcome(s, {"value": "stars"}) for name, s in sources(tmp_path / "b", table)}
    assert parts == whole
    assert whole["csv"][0] == "data"
