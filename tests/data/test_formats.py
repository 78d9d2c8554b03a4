"""The same values give the same data, whatever they are written in."""

import collections

import pytest
from hypothesis import HealthCheck, example, given, settings
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


#: Floats as a program writes them: a column of integers with a gap is one of such.
FLOATS = st.sampled_from(["1.0", "2.0", "10.0", "2.5", "-0.0", "0.0", "1e+16", "1e-05", ""])
#: Quotes that are characters like any other.
STRAY = st.one_of(st.sampled_from(['"', '"x', 'x"', 'a "b" c', '""', "5'9\"", ""]), TEXTS).map(
    lambda text: "".join(c for c in text if c not in ",\t\r\n")
)


@st.composite
def tables(draw, ids=None):
    n_rows = draw(st.integers(1, 9))

    def column(values):
        return draw(st.lists(values, min_size=n_rows, max_size=n_rows))

    few = st.sampled_from(["1", "2", ""])
    users = draw(st.sampled_from([TEXTS, FLOATS, st.integers(-3, 12).map(str), few]))
    items = draw(st.sampled_from([TEXTS, FLOATS, st.integers(0, 9).map(str)]))
    tags = st.one_of(TEXTS, st.sampled_from(["tea", "jam"]))
    numbers = draw(st.sampled_from([NUMBERS, NUMBERS, st.one_of(NUMBERS, WRONG)]))
    return {
        "user": column(users if ids is None else ids),
        "item": column(items if ids is None else ids),
        "stars": column(numbers),
        "at": column(TIMES),
        "tag": column(tags if ids is None else ids),
        "price": column(NUMBERS),
    }


def check(folder, table, *, quote=True):
    """Compare the outcomes of all formats; return the kind of the one, and how many there are."""
    columns = {"value": "stars", "time": "at"}
    found = {
        name: (source, outcome(source, columns))
        for name, source in sources(folder, table, quote=quote)
    }
    first = found["t.csv"][1]
    assert all(each == first for _, each in found.values()), (table, found)
    features = {"id": "item", "columns": ["tag"], "numeric": {"price": 3}}
    described = {
        name: outcome(source, columns, features)
        for name, (source, _) in found.items()
        if isinstance(source, dict)
    }
    alike = described["t.csv"]
    assert all(each == alike for each in described.values()), (table, described)
    return first[0], alike[0], len(found) + len(described)


FUZZ = settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@given(table=tables())
@FUZZ
def test_every_format_gives_the_same_data_or_one_error(tmp_path, table):
    check(tmp_path, table)


SHOWN_AS_FLOATS = {
    "user": ["ann"], "item": ["007"], "stars": ["5"], "at": ["1"], "tag": ["10.0"], "price": ["4"],
}  # fmt: skip


@given(table=tables(ids=STRAY))
@example(table=SHOWN_AS_FLOATS)
@FUZZ
def test_quotes_may_be_characters_like_any_other(tmp_path, table):
    check(
        tmp_path, {name: [t.strip() for t in texts] for name, texts in table.items()}, quote=False
    )


@pytest.mark.long
@pytest.mark.parametrize("quote", [True, False])
def test_some_hundred_tables(tmp_path, quote):
    found = collections.Counter()

    @settings(FUZZ, max_examples=150, derandomize=False)
    @given(table=tables(ids=None if quote else STRAY))
    def each(table):
        if not quote:
            table = {name: [text.strip() for text in texts] for name, texts in table.items()}
        found[check(tmp_path, table, quote=quote)[0]] += 1

    each()
    assert min(found.values()) > 15, found  # neither all errors nor none


@pytest.mark.parametrize("block", [64, 1000])
def test_blocks_change_nothing(tmp_path, monkeypatch, block):
    n = 200
    table = {
        "user": [f"u{k % 17}" if k % 5 else "" for k in range(n)],
        "item": [f'i "{k % 11}"\nline' for k in range(n)],
        "stars": [str(k % 6) for k in range(n)],
        "at": ["2024-01-01"] * n,
        "tag": ["x"] * n,
    }
    whole = {name: outcome(s, {"value": "stars"}) for name, s in sources(tmp_path / "a", table)}
    monkeypatch.setattr("hbpr.data.text_files._BLOCK", block)
    monkeypatch.setattr("hbpr.data.table_files._ROWS", block // 8)
    parts = {name: outcome(s, {"value": "stars"}) for name, s in sources(tmp_path / "b", table)}
    assert parts == whole
    assert whole["t.csv"][0] == "data"
