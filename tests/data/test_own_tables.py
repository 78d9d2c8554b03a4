"""Tables as people have them: each kind of file that was once read wrongly."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from hbpr import UserItemData
from hbpr.data import load_table
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import FeatureTableSettings, TableSettings


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            parquet.write_table(content, path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def load(path, **settings):
    features = {key: settings.pop(key) for key in ("item_feature",) if key in settings}
    return load_table(TableSettings(path=path, **settings), **features)


def test_nan_in_parquet_is_missing(write, caplog):
    table = pa.table(
        {"user": [1.0, float("nan"), 2.0], "item": [1, 2, 3], "stars": [5.0, 5.0, np.nan]}
    )
    data = load(write("t.parquet", table), value="stars")
    assert (data.n_positives, data.n_negatives) == (1, 0)
    assert data.assemble().user_ids.tolist() == [1]
    assert "left out: 1 without user, 1 without stars" in caplog.text


STRAY = 'user\titem\tname\nu1\ta\tPlain\nu1\tb\t"Weird Al\nu2\tc\tX\nu3\td\t"Blind" Tim\n'


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (STRAY, 3, "more text follows where it is closed"),
        ('user\titem\tname\nu1\ta\t"Odd\nu2\tb\tX\n', 2, "is never closed"),
        ('user\titem\tname\nu1\ta\tX\nu2\tb\t"Blind" Tim\n', 3, "more text follows"),
    ],
)
def test_a_stray_quote_is_an_error_with_its_line_or_a_character(write, text, line, what):
    path = write("plays.tsv", text)
    with pytest.raises(DataError, match=rf"plays.tsv, line {line}, column 'name': .*{what}"):
        load(path, delimiter="\t")
    rows = text.count("\n") - 1
    assert load(path, delimiter="\t", quote=None).n_positives == rows


def test_quoted_text_over_several_lines_is_read_and_reported(write, caplog):
    text = 'user,item,review\n1,1,"two\nlines, here"\n2,2,"say ""no"""\n3,3,x\n'
    assert load(write("t.csv", text)).n_positives == 3
    assert "1 quoted texts go over several lines, the first from line 2 to 3" in caplog.text


def test_an_id_na_is_an_id(write, caplog):
    path = write("t.csv", "user,item\nNA,1\nnull,1\nnan,2\n,2\n")
    items = write("i.csv", "id,country\n1,NA\n2,\n")
    features = FeatureTableSettings(path=items, id="id")
    data = load(path, item_features=features, item_feature="metadata").to_interactions()
    assert data.user_ids.tolist() == ["NA", "nan", "null"]
    assert data.item_feature_names == ("country=NA",)
    assert "1 without user, 1 item features without country" in caplog.text
    assert load(path, missing=["", "NA"]).n_users == 2


def test_own_features_and_named_ones_share_no_column(tmp_path):
    data = UserItemData("shop")
    data.add_positive_interactions([0, 0, 1], [0, 1, 2])
    data.add_item_features([0, 1, 2, 3], [0, 1, 2, 3])
    data.add_item_features([0, 1, 2, 3], [1, 1, 2, 2])
    made = data.to_interactions().item_features.to_csr().toarray()
    assert made[:, :4].tolist() == np.eye(4).tolist()
    assert made[:, 4:].tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    data.save(tmp_path / "d.npz")
    again = UserItemData.load(tmp_path / "d.npz").to_interactions()
    assert again.item_features.to_csr().toarray().tolist() == made.tolist()


def test_repeated_and_contradictory_pairs_are_counted(write, caplog):
    text = "user,item,stars\n1,1,5\n1,1,4\n1,2,1\n1,2,2\n2,1,5\n2,1,1\n"
    data = load(write("t.csv", text), value="stars")
    assert [record.getMessage() for record in caplog.records] == [
        "table: 6 rows, 2 positives; left out: 2 repeated, 1 both liked and disliked (they stay "
        "positive)"
    ]
    assert sum(data.left_out.values()) + data.n_positives + data.n_negatives == 6


def test_bytes_and_decimals_are_ids(write):
    table = pa.table({"user": [b"u1", b"u2"], "item": pa.array([10, 11], pa.decimal128(20, 0))})
    whole = load(write("t.parquet", table)).assemble()
    assert (whole.user_ids.tolist(), whole.item_ids.tolist()) == (["u1", "u2"], [10, 11])


@pytest.mark.parametrize(
    "users", [[("shop", 1)], [b"\xff"], [datetime.date(2024, 1, 1)], ["\ud800"]]
)
def test_ids_that_cannot_be_saved_are_refused_at_the_door(users):
    with pytest.raises(DataError, match=r"users: .*(ids? must be)"):
        UserItemData().add_positive_interactions(users, [1])


@pytest.mark.parametrize(
    "times",
    [
        pd.Series(pd.to_datetime(["2024-01-01T10:00:00Z", "2024-01-02T10:00:00Z"])),
        pd.Series(pd.to_datetime(["2024-01-01T10:00", "2024-01-02T10:00"])),
        pd.DatetimeIndex(["2024-01-01T11:00+01:00", "2024-01-02T11:00+01:00"]),
        [datetime.datetime(2024, 1, 1, 10), datetime.datetime(2024, 1, 2, 10)],
        [pd.Timestamp("2024-01-01T10:00Z"), pd.Timestamp("2024-01-02T10:00Z")],
        ["2024-01-01T10:00Z", "2024-01-02T10:00:00.000000000Z"],
        np.array(["2024-01-01T10:00", "2024-01-02T10:00"], "M8[ns]"),
        pa.array([1704103200, 1704189600], pa.timestamp("s", "UTC")),
        [1704103200, 1704189600],
    ],
    ids=lambda each: f"{type(each).__name__}-{getattr(each, 'dtype', '')}",
)
def test_times_in_python_as_from_a_file(times):
    data = UserItemData()
    data.add_positive_interactions([1, 2], [1, 2], times=times)
    assert data.assemble().positive_times.tolist() == [1704103200.0, 1704189600.0]


def test_a_feature_file_with_an_odd_id_still_describes_the_others(write, caplog):
    path = write("t.csv", "user,item\n1,100\n2,101\n")
    items = write("i.csv", "id,genre\n100,spy\n101,drama\nTOTAL,film\n")
    features = FeatureTableSettings(path=items, id="id")
    data = load(path, item_features=features, item_feature="metadata").to_interactions()
    assert data.item_features.to_csr().toarray().tolist() == [[0, 1], [1, 0]]
    assert "1 item features of unknown items" in caplog.text


@pytest.mark.parametrize("written", ["007", "7.0"])
def test_ids_written_in_two_ways_are_refused(write, written):
    path = write("t.csv", "user,item\n1,7\n2,8\n")
    items = write("i.csv", f"id,genre\n{written},spy\n8,drama\n")
    features = FeatureTableSettings(path=items, id="id")
    with pytest.raises(DataError, match=rf"'7' in .*t.csv, '{written}' in .*i.csv"):
        load(path, item_features=features, item_feature="metadata")


def test_whole_floats_are_integers_in_every_format(write):
    frame = pd.DataFrame({"user": [1.0, np.nan, 2.0, 10.0], "item": [7.0, 8.0, 8.5, 10.0]})
    parquet = load(write("t.parquet", pa.Table.from_pandas(frame))).to_interactions()
    text = load(write("t.csv", frame.to_csv(index=False))).to_interactions()
    assert text.user_ids.tolist() == parquet.user_ids.tolist() == [1, 2, 10]
    assert text.item_ids.tolist() == parquet.item_ids.tolist() == ["10", "7", "8.5"]
    assert text.fingerprint == parquet.fingerprint
    mixed = load(write("m.csv", "user,item\n1.0,v1.0\n2.0,v1\nx,v2.0\n"))
    assert mixed.assemble().user_ids.tolist() == ["1.0", "2.0", "x"]
    assert mixed.assemble().item_ids.tolist() == ["v1", "v1.0", "v2.0"]


@pytest.mark.parametrize(("written", "same"), [("7.0", True), ("7", False), ("-0.0", True)])
def test_floats_of_two_files_are_compared_as_written(write, written, same):
    path = write("t.csv", "user,item\n1,7.0\n2,8.0\n3,0.0\n")
    items = write("i.csv", f"id,genre\n{written},spy\n8.0,drama\n")
    features = FeatureTableSettings(path=items, id="id")
    if same:
        data = load(path, item_features=features, item_feature="metadata")
        assert data.to_interactions().item_feature_names == ("genre=drama", "genre=spy")
    else:
        with pytest.raises(DataError, match=r"'7.0' in .*t.csv, '7' in .*i.csv"):
            load(path, item_features=features, item_feature="metadata")


@pytest.mark.parametrize("event", [1, "1", "1.0"])
def test_events_that_are_written_as_floats(write, event):
    path = write("t.csv", "user,item,did\n1,7,1.0\n2,8,0.0\n")
    data = load(path, event="did", positive_events=[event], negative_events=["0.0"])
    assert (data.n_positives, data.n_negatives) == (1, 1)


def test_each_member_of_a_list_is_a_feature(write):
    path = write("t.csv", "user,item\n1,7\n2,8\n")
    items = write("i.parquet", pa.table({"id": [7, 8], "genres": [["spy", "drama"], ["spy"]]}))
    features = FeatureTableSettings(path=items, id="id")
    data = load(path, item_features=features, item_feature="metadata").to_interactions()
    assert data.item_feature_names == ("genres=drama", "genres=spy")
    assert data.item_features.to_csr().toarray().tolist() == [[1, 1], [0, 1]]
    with pytest.raises(DataError, match="column 'item' is of type list"):
        load(write("l.parquet", pa.table({"user": [1], "item": [[1]]})))


def test_a_folder_a_pattern_and_a_list_are_one_table(write, tmp_path):
    for k in range(3):
        write(f"log/part-{k}.csv", f"user,item\n{k},1\n{k},2\n")
    write("log/_SUCCESS", "")
    write("log/part-9.csv", "")
    one = write("one.csv", "user,item\n0,1\n0,2\n1,1\n1,2\n2,1\n2,2\n")
    expected = load(one).to_interactions().fingerprint
    paths = [f"{tmp_path}/log/part-{k}.csv" for k in range(3)]
    for path in (f"{tmp_path}/log", f"{tmp_path}/log/part-*.csv", f"{tmp_path}/lo*", tuple(paths)):
        assert load(path).to_interactions().fingerprint == expected
    with pytest.raises(DatasetMissingError, match="no file fits the pattern"):
        load(f"{tmp_path}/log/*.parquet")
    write("log/x.parquet", pa.table({"user": [1], "item": [1]}))
    with pytest.raises(
        DataError, match=r"must be of one kind, got .*part-0.csv \(text\) and .*x.parq"
    ):
        load(f"{tmp_path}/log")


def test_parts_of_several_types_are_reconciled(write, tmp_path):
    write("log/a.parquet", pa.table({"user": [1, 2], "item": [1, 2]}))
    write("log/b.parquet", pa.table({"user": [1.0, np.nan], "item": ["2", "1"]}))
    whole = load(f"{tmp_path}/log").assemble()
    assert whole.user_ids.tolist() == [1, 2]
    assert whole.positives.n_pairs == 3


def test_folders_named_key_and_value_are_columns(write, tmp_path):
    for day, user in (("2024-01-01", 1), ("2024-01-02", 2)):
        write(f"log/day={day}/part.parquet", pa.table({"user": [user], "item": [5]}))
    whole = load(f"{tmp_path}/log", time="day").assemble()
    assert whole.positive_times.tolist() == [1704067200.0, 1704153600.0]


def test_encodings_are_a_setting_and_a_wrong_one_names_its_place(write):
    latin = write("l.csv", "user,größe\nZoë,1\nBob,2\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"l.csv, line 1, the name of column 2: .*UTF-8.*encoding"):
        load(latin, item="größe")
    data = load(latin, item="größe", encoding="latin-1")
    assert data.assemble().user_ids.tolist() == ["Bob", "Zoë"]
    value = write("v.csv", b"user,item\nBob,1\nZo\xeb,1\n")
    with pytest.raises(DataError, match=r"v.csv, line 3, column 'user' \(row 2\): .*b'Zo\\xeb'"):
        load(value)
    wide = write("w.csv", "user,item\nZoë,1\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"got utf-16 .*set data.table.encoding: utf-16"):
        load(wide)
    assert load(wide, encoding="utf-16").n_positives == 1
    with pytest.raises(DataError, match="line 1, column 2: the text must be ASCII"):
        load(latin, item="größe", encoding="ascii")
    with pytest.raises(ValueError, match="must be an encoding such as utf-8"):
        TableSettings(path="x", encoding="latin9000")


def test_text_dates_and_numbers_of_parquet(write):
    table = pa.table(
        {"user": [1, 2], "item": [1, 2], "at": ["2024-01-01", "2024-01-02"], "stars": ["5", ""]}
    )
    data = load(write("t.parquet", table), time="at", value="stars")
    assert data.assemble().positive_times.tolist() == [1704067200.0]
    assert data.left_out == {"without stars": 1}


def test_separators_of_several_characters_and_no_header(write):
    path = write("ratings.dat", '1::1193::5::978300760\n1::661::3::978302109\n2::"x::4::9\n')
    data = load(
        path, delimiter="::", columns=["user", "item", "stars", "at"], value="stars", time="at"
    )
    assert data.assemble().item_ids.tolist() == ['"x', "1193", "661"]
    assert (data.n_positives, data.n_negatives) == (2, 1)


def test_a_line_with_too_few_columns_is_named(write):
    with pytest.raises(DataError, match=r"t.csv, line 3: expected 2 columns \(user, item\), got 3"):
        load(write("t.csv", "user,item\n1,2\n1,2,3\n"))
    with pytest.raises(DataError, match="the column 'item' is there 2 times"):
        load(write("d.csv", "user,item,item\n1,2,3\n"))
    with pytest.raises(DataError, match="an Excel or zip file"):
        load(write("t.xlsx", b"PK\x03\x04xxxxxxx"))
    with pytest.raises(DataError, match="the file is empty"):
        load(write("e.csv", ""))


def test_users_of_several_columns(write):
    path = write("t.csv", "shop,user,item\nDE,1,1\nFR,1,1\nDE,1,2\n")
    assert load(path, user=["shop", "user"]).assemble().user_ids.tolist() == ["DE|1", "FR|1"]
    with pytest.raises(DataError, match=r"'a\|b' holds one"):
        load(write("j.csv", "shop,user,item\na|b,1,1\n"), user=["shop", "user"])


def test_one_column_is_page_and_time(write):
    path = write("t.csv", "user,item,act,at\n1,1,buy,2024-01-01\n1,2,see,2024-01-01\n")
    data = load(path, event="act", positive_events=["buy"], page="at", time="at")
    assert (data.n_positives, data.n_negatives) == (1, 1)
    assert data.assemble().page_ids.tolist() == ["2024-01-01"]


def test_long_feature_tables_and_numbers(write):
    path = write("t.csv", "user,item\n1,7\n2,8\n3,9\n")
    tags = write("tags.csv", "item;tag;relevance\n7;spy;0.5\n7;film;1\n8;spy;0.25\n9;spy;\n")
    features = FeatureTableSettings(
        path=tags, id="item", feature="tag", weight="relevance", delimiter=";"
    )
    data = load(path, item_features=features, item_feature="metadata").to_interactions()
    assert data.item_feature_names == ("tag=film", "tag=spy")
    assert data.item_features.to_csr().toarray().tolist() == [[1, 0.5], [0, 0.25], [0, 0]]
    prices = write("p.csv", "item,price,year\n7,1,2000\n8,2,2001\n9,3,2010\n")
    features = FeatureTableSettings(path=prices, id="item", numeric={"price": "scaled", "year": 2})
    data = load(path, item_features=features, item_feature="metadata").to_interactions()
    assert data.item_feature_names == ("price", "year=2000..2001", "year=2001..2010")
    made = data.item_features.to_csr().toarray()
    assert made[:, 0] == pytest.approx([-(1.5**0.5), 0, 1.5**0.5])
    assert made[:, 1:].tolist() == [[1, 0], [0, 1], [0, 1]]


@pytest.mark.parametrize("event", [["true", "false"], ["True", "False"], [True, False]])
def test_events_that_are_true_or_false(write, event):
    data = load(
        write("t.parquet", pa.table({"user": [1, 1], "item": [1, 2], "clicked": event})),
        event="clicked",
        positive_events=[True],
        negative_events=[False],
    )
    assert (data.n_positives, data.n_negatives) == (1, 1)


def test_a_frame_is_read_as_a_file_is(write):
    frame = pd.DataFrame({"u": [1.0, 2.0, np.nan], "sku": ["a", "b", "c"], "stars": [5, 2, 1]})
    data = UserItemData.from_frame(frame, user="u", item="sku", value="stars", name="shop")
    assert data.left_out == {"without u": 1}
    assert data.assemble().user_ids.tolist() == [1, 2]
    with pytest.raises(DataError, match=r"data: from_frame: usr: unknown key. Did you mean user"):
        UserItemData.from_frame(frame, usr="u")
    with pytest.raises(DataError, match="there is no column 'item'"):
        UserItemData.from_frame(frame, user="u")
    with pytest.raises(
        DataError, match="expected a data frame of pandas, polars or Arrow, got list"
    ):
        UserItemData.from_frame([1], user="u")


def test_a_dataset_describes_itself(write):
    path = write("t.csv", "user,item,at\n1,1,2024-01-01\n1,1,2024-01-01\n2,1,2024-01-03\n")
    described = load(path, time="at").describe()
    assert (described.n_users, described.n_items, described.density) == (2, 1, 1.0)
    text = str(described)
    assert "2024-01-01 00:00 to 2024-01-03 00:00" in text
    assert "1 repeated" in text
    page = described.to_html()
    assert page.count("<svg") == 3
    assert "<script" not in page
