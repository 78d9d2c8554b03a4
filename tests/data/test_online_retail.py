import os
from pathlib import Path

import pytest

from hbpr.data import load_data, load_online_retail
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import DataSettings

_SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = Path(os.environ.get("HBPR_DATA_HOME") or _SHARED)

ROWS = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,10001,LAMP,6,2011-01-02 08:00:00,2.5,17850.0,France
2,10001,LAMP,2,2011-01-01 08:00:00,2.5,17850.0,France
C3,10001,LAMP,-3,2011-01-03 08:00:00,2.5,17850.0,France
1,10002a,CUP,1,2011-01-02 08:00:00,1.0,17850.0,France
C4,10002A,CUP,-1,2011-01-04 08:00:00,1.0,17850.0,France
C5,10003,BOX,-1,2011-01-05 08:00:00,9.0,12.0,Japan
6,10003,BOX,1,2011-01-06 08:00:00,9.0,13.0,Japan
7,POST,POSTAGE,1,2011-01-06 08:00:00,9.0,13.0,Japan
8,10001,LAMP,1,2011-01-06 08:00:00,9.0,,Japan
9,10001,LAMP,1,2011-01-06 08:00:00,0.0,13.0,Japan
"""


@pytest.fixture
def home(tmp_path) -> Path:
    folder = tmp_path / "uci-online-retail"
    folder.mkdir()
    (folder / "online_retail.csv").write_text(ROWS)
    return tmp_path


def test_kept_is_positive_and_cancelled_negative(home, caplog):
    caplog.set_level("INFO")
    whole = load_online_retail(data_home=home).assemble()
    assert whole.user_ids.tolist() == [12, 13, 17850]
    assert whole.item_ids.tolist() == ["10001", "10002A", "10003"]
    assert [whole.positives.of(u).tolist() for u in range(3)] == [[], [2], [0]]
    assert [whole.negatives.of(u).tolist() for u in range(3)] == [[2], [], [1]]
    day = 86400
    first = 1293840000 + 8 * 3600  # 2011-01-01 08:00
    assert (whole.positive_times - first).tolist() == [5 * day, 0]
    assert (whole.negative_times - first).tolist() == [4 * day, day]
    assert (
        "10 rows; left out: 1 without a customer, 1 of no product, 1 without a price, "
        "0 without a quantity; 3 of the others are cancellations"
    ) in caplog.text


def test_price_bands_and_countries(home):
    data = load_online_retail(item_feature="metadata", user_feature="metadata", data_home=home)
    whole = data.assemble()
    assert [str(x) for x in whole.user_labels[0]] == ["country=France", "country=Japan"]
    assert whole.user_features.indices.tolist() == [1, 1, 0]
    assert [str(whole.item_labels[0][k]) for k in whole.item_features.indices] == [
        "price=6",
        "price=3",
        "price=9",
    ]


def test_missing_and_broken_files_are_named(home):
    path = home / "uci-online-retail" / "online_retail.csv"
    path.write_text("InvoiceNo,StockCode\n1,2\n")
    with pytest.raises(DataError, match=r"online_retail.csv cannot be read"):
        load_online_retail(data_home=home)
    path.unlink()
    with pytest.raises(DatasetMissingError, match=r"Save the sheet of https://archive.ics.uci.edu"):
        load_online_retail(data_home=home)


def test_the_real_counts(monkeypatch, caplog):
    if not (REAL / "uci-online-retail").is_dir():
        pytest.skip(f"no uci-online-retail in {REAL}; set HBPR_DATA_HOME")
    monkeypatch.setenv("HBPR_DATA_HOME", str(REAL))
    caplog.set_level("INFO")
    data = load_data(DataSettings(source="online_retail", user_feature="metadata"))
    assert "541909 rows; left out: 135080 without a customer" in caplog.text
    assert (data.n_users, data.n_items, data.user_features.n_features) == (4362, 3676, 37)
    positives = data.train.n_pairs + data.validation.n_pairs + data.test.n_pairs
    assert positives == 264_668
    negatives = data.train_negatives, data.validation_negatives, data.test_negatives
    assert sum(part.n_pairs for part in negatives) == 2218


def test_the_second_sheet_has_other_names(home, caplog):
    head, *rows = ROWS.splitlines()
    names = {"InvoiceNo": "Invoice", "UnitPrice": "Price", "CustomerID": "Customer ID"}
    for old, new in names.items():
        head = head.replace(old, new)
    text = "\n".join([head, *rows]) + "\n"
    (home / "uci-online-retail" / "online_retail_ii.csv").write_text(text)
    first, second = (
        load_online_retail(each, data_home=home) for each in ("online_retail", "online_retail_ii")
    )
    assert second.name == "online-retail-ii"
    assert second.to_interactions().fingerprint == first.to_interactions().fingerprint
    assert second.left_out["without a customer"] == 1
    assert "10 rows, 2 positives; left out: 1 without a customer" in caplog.text
