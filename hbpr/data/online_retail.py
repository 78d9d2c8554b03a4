"""Online Retail (Chen, 2015, UCI, CC BY 4.0): the invoices of a British gift shop, 2010 and 2011.

What is left out, and counted in the log: rows without a customer; rows whose stock code is no
product (postage, fees, vouchers, corrections: a product has five digits, and letters for a
variant); rows without a price or a quantity.
"""

import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from hbpr.data.chosen_features import add_chosen_features
from hbpr.data.download import ENV_HOME
from hbpr.data.download import data_home as find_home
from hbpr.data.user_item import UserItemData
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import Features as FeatureChoice

_log = logging.getLogger(__name__)

_URL: Final = "https://archive.ics.uci.edu/dataset/352/online+retail"
_FOLDERS: Final = ("uci-online-retail", "online-retail", "online_retail")
_FILES: Final = ("online_retail.csv", "online_retail_ii.csv", "online_retail_II.csv")
#: The larger sheet, by the name of the dataset.
_SECOND: Final = ("online_retail_ii", "online-retail-ii")
#: Columns of Online Retail II by their names in the first sheet.
_RENAMED: Final = {
    "Invoice": "InvoiceNo",
    "Price": "UnitPrice",
    "Customer ID": "CustomerID",
}
_TYPES: Final[dict[str, Any]] = {
    "InvoiceNo": "str",
    "StockCode": "str",
    "Quantity": np.float64,
    "InvoiceDate": "str",
    "UnitPrice": np.float64,
    "CustomerID": np.float64,
    "Country": "str",
    "Description": "str",
}
#: Price bands, each with as many products as another.
_N_BANDS: Final = 10


def load_online_retail(
    name: str = "online_retail",
    *,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
    data_home: str | Path | None = None,
) -> UserItemData:
    """Read ``HOME/uci-online-retail/online_retail.csv``, the published sheet saved as CSV.

    Online Retail II (2009 to 2011, 1,067,371 rows) is read from ``online_retail_ii.csv`` beside it,
    where the name asks for it or no other file is there.

    A customer and a product are a positive pair if more pieces were bought than cancelled, an
    observed negative if they were cancelled and none was kept. Its time is that of the first
    purchase, or of the first cancellation.

    Args:
        name: ``online_retail_ii`` reads the larger sheet.
        item_feature: indicator; metadata (band of the median price, tenths of all products); both.
        user_feature: indicator; metadata (country); both.
        data_home: Folder that holds the datasets; None: ``$HBPR_DATA_HOME``, or else hbpr's folder
            in the user's cache.

    Raises:
        DatasetMissingError: The file is not there.
        DataError: The file cannot be read.
    """
    home = find_home(data_home)
    second = name.lower() in _SECOND
    files = _FILES[1:] if second else _FILES
    found = [home / folder / file for folder in _FOLDERS for file in files]
    path = next((each for each in found if each.is_file()), None)
    if path is None:
        raise DatasetMissingError(
            f"online_retail: no {files[0]} in {home / _FOLDERS[0]}. Save the sheet of {_URL} as "
            f"CSV there, or set {ENV_HOME} to look in another folder."
        )
    table = _read(path)
    n_rows = len(table)
    rows, left_out = _products(table)
    pairs = rows.groupby(["user", "item"]).agg(kept=("Quantity", "sum"), first=("time", "min"))
    bought = rows[rows["Quantity"] > 0].groupby(["user", "item"])["time"].min()
    pairs["time"] = bought.reindex(pairs.index).fillna(pairs["first"])
    pairs = pairs.reset_index()
    positive = pairs["kept"] > 0
    _log.info("online_retail: %d of %d pairs were cancelled", (~positive).sum(), len(pairs))
    data = UserItemData("online-retail-ii" if path.name != _FILES[0] else "online-retail")
    left_out["more rows of a pair (their pieces add up)"] = len(rows) - len(pairs)
    data.note_left_out(left_out, n_rows=n_rows)
    for add, part in (
        (data.add_positive_interactions, pairs[positive]),
        (data.add_negative_interactions, pairs[~positive]),
    ):
        add(part["user"].to_numpy(), part["item"].to_numpy(object), times=part["time"].to_numpy())
    if "Description" in rows:
        told = rows.groupby(["item", rows["Description"].str.strip()]).size().reset_index(name="n")
        told = told.sort_values("n", kind="stable").drop_duplicates("item", keep="last")
        data.add_item_names(told["item"], told["Description"])
    prices = rows.groupby("item")["UnitPrice"].median()
    bands = (prices.rank(pct=True) * _N_BANDS).clip(upper=_N_BANDS - 1).astype(int)
    labels = {
        "item": "price=" + bands.astype(str),
        "user": "country=" + rows.groupby("user")["Country"].last(),
    }
    for side, add_features, choice in (
        ("item", data.add_item_features, item_feature),
        ("user", data.add_user_features, user_feature),
    ):
        ids = labels[side].index.to_numpy()
        add_chosen_features(add_features, choice, ids, (ids, labels[side].to_numpy(object)))
    return data


def _read(path: Path) -> pd.DataFrame:
    try:
        names = pd.read_csv(path, nrows=0, encoding="utf-8").columns
        renamed = {old: new for old, new in _RENAMED.items() if old in names}
        written = {new: old for old, new in renamed.items()}
        types = {written.get(name, name): kind for name, kind in _TYPES.items()}
        if "Description" not in names:  # of use to readers alone
            del types["Description"]
        table = pd.read_csv(path, usecols=list(types), dtype=types, encoding="utf-8")
        table = table.rename(columns=renamed)
        table["time"] = pd.to_datetime(table["InvoiceDate"], format="ISO8601")
    except (ValueError, KeyError) as error:
        raise DataError(f"online_retail: {path} cannot be read: {error}") from error
    return table


def _products(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows of a known customer and a product; columns user (int) and item (text) are added.

    What was left out is returned as well, by reason.
    """
    n_rows = len(table)
    item = table["StockCode"].str.strip().str.upper()
    reasons = {
        "without a customer": table["CustomerID"].isna(),
        "of no product": ~item.str.fullmatch(r"\d{5}[A-Z]*").fillna(False).astype(bool),
        "without a price": ~(table["UnitPrice"] > 0),
        "without a quantity": table["Quantity"].isna() | (table["Quantity"] == 0),
    }
    kept = np.ones(n_rows, bool)
    left_out = {}
    for reason, wrong in reasons.items():
        left_out[reason] = int((wrong.to_numpy() & kept).sum())
        kept &= ~wrong.to_numpy()
    n_cancelled = int(table["InvoiceNo"].str.startswith("C")[kept].sum())
    _log.info(
        "online_retail: %d rows; left out: %s; %d of the others are cancellations",
        n_rows,
        ", ".join(f"{n} {reason}" for reason, n in left_out.items()),
        n_cancelled,
    )
    rows = table[kept]
    return rows.assign(user=rows["CustomerID"].astype(np.int64), item=item[kept]), left_out
