import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

from hbpr.data import load_data, load_table
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import DataSettings, FeatureTableSettings, SplitSettings, TableSettings

SHOP = """\
who,what,stars,when,kind,weight
ann,007,5,2024-01-03,buy,1.5
ann,12,2,2024-01-01,view,1
bob,12,4,2024-01-02,buy,2
,12,4,2024-01-02,buy,1
bob,007,,2024-01-05,view,1
bob,x9,3,2024-01-05,ad,1
bob,12,4,2024-01-02,buy,2
"""
COLUMNS = {"user": "who", "item": "what"}


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text(SHOP)
    return str(path)


def names(whole, pairs) -> list[tuple]:
    return list(
        zip(
            whole.user_ids[pairs.users()].tolist(),
            whole.item_ids[pairs.items].tolist(),
            strict=True,
        )
    )


def test_every_row_is_a_positive_without_value_or_event(shop, caplog):
    whole = load_table(TableSettings(path=shop, **COLUMNS)).assemble()
    assert names(whole, whole.positives) == [
        ("ann", "007"),
        ("ann", "12"),
        ("bob", "007"),
        ("bob", "12"),
        ("bob", "x9"),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "table: 7 rows, 5 positives; left out: 1 without who, 1 repeated"
    ]


def test_a_value_is_judged_by_the_threshold(shop, caplog):
    caplog.set_level(logging.INFO)
    table = TableSettings(path=shop, value="stars", time="when", **COLUMNS)
    whole = load_table(table, rating_threshold=4.0).assemble()
    assert names(whole, whole.positives) == [("ann", "007"), ("bob", "12")]
    assert names(whole, whole.negatives) == [("ann", "12"), ("bob", "x9")]
    day = 86400
    assert (whole.positive_times / day % 10).tolist() == [5, 4]
    assert "1 without who, 1 without stars" in caplog.text


def test_events_are_positive_negative_or_nothing(shop, caplog):
    caplog.set_level(logging.INFO)
    table = TableSettings(
        path=shop,
        event="kind",
        positive_events=("buy",),
        negative_events=("view",),
        weight="weight",
        **COLUMNS,
    )
    whole = load_table(table).assemble()
    assert names(whole, whole.positives) == [("ann", "007"), ("bob", "12")]
    assert names(whole, whole.negatives) == [("ann", "12"), ("bob", "007")]
    assert whole.positives.weights.tolist() == [1.5, 4.0]
    assert "1 of other events, 1 repeated (their weights add up)" in caplog.text


LOG = """\
who,what,list,act,when
ann,1,home,view,1
ann,2,home,view,2
ann,2,home,buy,3
ann,3,home,dismiss,4
bob,1,home,view,5
bob,4,,buy,6
bob,5,,view,7
bob,4,late,view,8
ann,1,late,view,0
ann,2,late,view,9
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return TableSettings(
        path=str(path),
        event="act",
        positive_events=("buy",),
        negative_events=("dismiss",),
        page="list",
        time="when",
        **COLUMNS,
    )


def test_what_a_page_shows_and_nobody_chooses_is_an_observed_negative(log, caplog):
    caplog.set_level(logging.INFO)
    data = load_table(log)
    whole = data.assemble()
    assert names(whole, whole.positives) == [("ann", 2), ("bob", 4)]
    assert names(whole, whole.negatives) == [("ann", 1), ("ann", 3), ("bob", 1)]
    assert whole.negative_times.tolist() == [0.0, 4.0, 5.0]
    assert "10 rows, 2 positives; left out: 1 of other events" in caplog.text
    assert "2 pairs shown on a page and never chosen, kept as negative" in caplog.text


def test_the_data_keep_each_users_pages(log):
    """The same page id of two users is two pages; a bought item without a page is on none."""
    data = load_table(log)
    pages = data.to_interactions(SplitSettings(kind="temporal", train=0.5, validation=0.4)).pages
    whole = data.assemble()
    rows = pages.shown.users()
    on = zip(
        whole.user_ids[pages.users[rows]], whole.page_ids[rows], pages.shown.items, strict=True
    )
    assert sorted((str(u), str(p), int(whole.item_ids[i])) for u, p, i in on) == [
        *(("ann", "home", 1), ("ann", "home", 2), ("ann", "home", 3)),
        *(("ann", "late", 1), ("ann", "late", 2), ("bob", "home", 1), ("bob", "late", 4)),
    ]
    chosen = pages.chosen(whole.positives)
    assert [int(whole.item_ids[i]) for i in chosen.items] == [2, 2, 4]


def test_without_a_page_column_the_same_rows_tell_less(log):
    whole = load_table(log.model_copy(update={"page": None})).assemble()
    assert names(whole, whole.negatives) == [("ann", 3)]
    assert whole.pages is None


def test_pages_beside_ratings_and_minima(tmp_path):
    """Ratings say what was chosen as ever; pages only add who shared one."""
    path = tmp_path / "rated.csv"
    path.write_text("user,item,stars,s\n1,1,5,a\n1,2,1,a\n2,1,5,a\n2,3,5,b\n")
    settings = {"path": str(path), "value": "stars", "page": "s", "min_per_item": 2}
    whole = load_table(TableSettings(**settings)).assemble()
    assert whole.positives.n_pairs == 2
    assert whole.negatives.n_pairs == 0  # items 2 and 3 have too few positives
    assert whole.pages.shown.counts.tolist() == [1, 1]
    with pytest.raises(ValueError, match="column 'stars' is named twice"):
        load_table(TableSettings(**settings | {"page": "stars"}))


def test_parquet_gives_what_csv_gives(shop, tmp_path):
    table = pd.read_csv(shop, dtype={"what": "str", "who": "category"}).assign(
        when=lambda t: pd.to_datetime(t["when"])
    )
    path = tmp_path / "shop.parquet"
    parquet.write_table(pa.Table.from_pandas(table), path, row_group_size=2)
    columns = {"value": "stars", "time": "when", **COLUMNS}
    ours, theirs = (
        load_table(TableSettings(path=str(p), **columns)).to_interactions() for p in (shop, path)
    )
    assert ours.fingerprint == theirs.fingerprint
    assert ours.item_ids.tolist() == theirs.item_ids.tolist()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 5)), min_size=1, max_size=40),
    st.integers(1, 3),
    st.integers(1, 3),
)
def test_k_core_is_the_largest_table_in_which_both_minima_hold(tmp_path_factory, rows, n, m):
    path = tmp_path_factory.mktemp("core") / "t.csv"
    frame = pd.DataFrame(rows, columns=["user", "item"])
    frame.to_csv(path, index=False)
    kept = frame.drop_duplicates()
    while True:
        before = len(kept)
        kept = kept[kept.groupby("item")["user"].transform("size") >= m]
        kept = kept[kept.groupby("user")["item"].transform("size") >= n]
        if len(kept) == before:
            break
    data = load_table(TableSettings(path=str(path), min_per_user=n, min_per_item=m, k_core=True))
    whole = data.assemble()
    expected = sorted(kept.itertuples(index=False, name=None))
    assert names(whole, whole.positives) == expected


def test_without_k_core_each_minimum_is_applied_once(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("user,item\n1,1\n1,2\n2,2\n2,3\n3,3\n3,4\n")
    settings = {"path": str(path), "min_per_user": 2, "min_per_item": 2}
    once = load_table(TableSettings(**settings))
    assert (once.n_users, once.n_positives) == (1, 2)
    assert load_table(TableSettings(**settings, k_core=True)).n_positives == 0


def test_feature_tables(shop, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("id,genre,size,note\n007,spy|film,1,\n12,film,2,x\nother,spy,3,y\n")
    table = TableSettings(
        path=shop,
        item_features=FeatureTableSettings(
            path=str(items), id="id", columns=("genre", "size"), separator="|"
        ),
        **COLUMNS,
    )
    data = load_table(table, item_feature="metadata").to_interactions()
    assert data.item_feature_names == ("genre=film", "genre=spy", "size=1", "size=2")
    assert data.item_ids.tolist() == ["007", "12", "x9"]
    assert data.item_features.to_csr().toarray().tolist() == [[1, 1, 1, 0], [1, 0, 0, 1], [0] * 4]
    with pytest.raises(DataError, match=r"data.user_feature: both needs data.table.user_features"):
        load_table(table, user_feature="both")


def test_integer_ids_join_whatever_the_file_calls_them(tmp_path):
    (tmp_path / "t.csv").write_text("user,item\n1,10\n2,11\n")
    parquet.write_table(
        pa.table({"id": [10.0, 11.0], "colour": ["red", "blue"]}), tmp_path / "i.parquet"
    )
    table = TableSettings(
        path=str(tmp_path / "t.csv"),
        item_features=FeatureTableSettings(path=str(tmp_path / "i.parquet"), id="id"),
    )
    data = load_table(table, item_feature="both").to_interactions()
    assert data.item_ids.dtype == np.int64
    assert data.item_feature_names == ("10", "11", "colour=blue", "colour=red")


def test_many_batches_equal_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "user": rng.integers(0, 300, 5000),
            "item": [f"i{k}" for k in rng.integers(0, 200, 5000)],
            "rating": rng.integers(1, 6, 5000),
        }
    )
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    csv.write_csv(pa.Table.from_pandas(frame), tmp_path / "again.csv")
    table = TableSettings(path=str(path), value="rating")
    one = load_table(table).to_interactions().fingerprint
    monkeypatch.setattr("hbpr.data.text_files._BLOCK", 2000)
    assert load_table(table).to_interactions().fingerprint == one


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"user": "nobody"}, "there is no column 'nobody'; the columns are 'who', 'what'"),
        ({"value": "kind"}, "column 'kind' must hold numbers, got 'buy'"),
        ({"time": "kind"}, "column 'kind' must hold numbers, .* or ISO dates .*, got 'buy'"),
        ({"event": "kind", "positive_events": ("sell",)}, "has no 'sell'; it has 'buy', 'view'"),
    ],
)
def test_what_does_not_fit_the_file_is_named(shop, change, words):
    with pytest.raises(DataError, match=words):
        load_table(TableSettings(**{"path": shop, **COLUMNS, **change}))


@pytest.mark.parametrize("change", [{"value": "what"}, {"item": "who"}, {"page": "what"}])
def test_a_column_has_one_role(shop, change):
    with pytest.raises(ValueError, match=r"the column 'wh.*' is named twice, as"):
        TableSettings(**{"path": shop, **COLUMNS, **change})


@pytest.mark.parametrize("mark", [";", "\t", "|", "::"])
def test_another_delimiter_is_named(tmp_path, mark):
    path = tmp_path / "t.csv"
    path.write_text(f"user{mark}item\n1{mark}a\n")
    with pytest.raises(DataError) as error:
        load_table(TableSettings(path=str(path)))
    assert str(error.value).endswith(f"Set data.table.delimiter to {mark!r}")


@pytest.mark.parametrize("first", ["7", "2026-01-31"])
def test_the_value_that_is_no_time_is_named(tmp_path, first):
    path = tmp_path / "t.csv"
    path.write_text(f"user,item,at\n1,a,{first}\n1,b,31.01.2026\n")
    with pytest.raises(DataError, match=r"column 'at' must hold .*, got '31\.01\.2026'"):
        load_table(TableSettings(path=str(path), time="at"))


def test_two_forms_of_time_in_one_column_are_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("user,item,at\n1,a,1700000000\n1,b,2026-01-31\n")
    with pytest.raises(DataError, match=r"column 'at' must hold .*, got both in one column"):
        load_table(TableSettings(path=str(path), time="at"))


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ("2026-01-31", 1769817600.0),
        ("2026-01-31 14:05", 1769868300.0),
        ("2026-01-31T14:05:00Z", 1769868300.0),
        ("1769868300", 1769868300.0),
        ("1769868300.5", 1769868300.5),
    ],
)
def test_forms_of_a_time(tmp_path, at, moment):
    path = tmp_path / "t.csv"
    path.write_text(f"user,item,at\n1,a,{at}\n")
    assert load_table(TableSettings(path=str(path), time="at")).assemble().positive_times == moment


def test_a_file_that_is_not_there():
    with pytest.raises(DatasetMissingError, match=r"nowhere.csv: no such file \(relative to"):
        load_table(TableSettings(path="nowhere.csv"))


def test_through_the_settings(shop):
    settings = DataSettings(
        source="table",
        name="shop",
        table=TableSettings(path=shop, time="when", **COLUMNS),
        split={"kind": "leave_one_out"},
    )
    data = load_data(settings)
    assert data.name == "shop"
    assert data.split.startswith("leave one out")
    assert data.test.n_pairs == 2
