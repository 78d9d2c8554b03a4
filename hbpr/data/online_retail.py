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

from hbpr.data.download import ENV_HOME
from hbpr.data.download import data_home as find_home
from hbpr.data.user_item import UserItemData, add_chosen_features
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import Features as FeatureChoice

_log = logging.getLogger(__name__)

_URL: Final = "https://archive.ics.uci.edu/dataset/352/online+retail"
_FOLDERS: Final = ("uci-online-retail", "online-retail", "online_retail")
_FILE: Final = "online_retail.csv"
_TYPES: Final[dict[str, Any]] = {
    "InvoiceNo": "str",
    "StockCode": "str",
    "Quantity": np.float64,
    "InvoiceDate": "str",
    "UnitPrice": np.float64,
    "CustomerID": np.float64,
    "Country": "str",
}
#: Price bands, each with as many products as another.
_N_BANDS: Final = 10


def load_online_retail(
    *,
    item_feature: FeatureChoice = "indicator",
    user_feature: FeatureChoice = "indicator",
    data_home: str | Path | None = None,
) -> UserItemData:
    """Read ``HOME/uci-online-retail/online_retail.csv``, the published sheet saved as CSV.

    A customer and a product are a positive pair if more pieces were bought than cancelled, an
    observed negative if they were cancelled and none was kept. Its time is that of the first
    purchase, or of the first cancellation.

    Args:
        item_feature: indicator; metadata (band of the median price, tenths of all products); both.
        user_feature: indicator; metadata (country); both.
        data_home: Folder that holds the datasets; None: ``$HBPR_DATA_HOME``, or else hbpr's folder
            in the user's cache.

    Raises:
        DatasetMissingError: The file is not there.
        DataError: The file cannot be read.
    """
    home = find_home(data_home)
    path = next((home / f / _FILE for f in _FOLDERS if (home / f / _FILE).is_file()), None)
    if path is None:
        raise DatasetMissingError(
            f"online_retail: no {_FILE} in {home / _FOLDERS[0]}. Save the sheet of {_URL} as CSV "
            f"there, or set {ENV_HOME} to look in another folder."
        )
    rows = _products(_read(path))
    pairs = rows.groupby(["user", "item"]).agg(kept=("Quantity", "sum"), first=("time", "min"))
    bought = rows[rows["Quantity"] > 0].groupby(["user", "item"])["time"].min()
    pairs["time"] = bought.reindex(pairs.index).fillna(pairs["first"])
    pairs = pairs.reset_index()
    positive = pairs["kept"] > 0
    _log.info("online_retail: %d of %d pairs were cancelled", (~positive).sum(), len(pairs))
    data = UserItemData("online-retail")
    for add, part in (
        (data.add_positive_interactions, pairs[positive]),
        (data.add_negative_interactions, pairs[~positive]),
    ):
        add(part["user"].to_numpy(), part["item"].to_numpy(object), times=part["time"].to_numpy())
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
        table = pd.read_csv(path, usecols=list(_TYPES), dtype=_TYPES, encoding="utf-8")
        table["time"] = pd.to_datetime(table["InvoiceDate"], format="ISO8601")
    except (ValueError, KeyError) as error:
        raise DataError(f"online_retail: {path} cannot be read: {error}") from error
    return table


def _products(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a known customer and a product; columns user (int) and item (text) are added."""
    n_rows = len(table)
    item = table["StockCode"].str.strip().str.upper()
    reasons = {
        "without a customer": table["CustomerID"].isna(),
        "of no product": ~item.str.fullmatch(r"\d{5}[A-Z]*").fillna(False).astype(bool),
        "without a price": ~(table["UnitPrice"] > 0),
        "without a quantity": table["Quantity"].isna() | (table["Quantity"] == 0),
    }
    kept = np.ones(n_rows, bool)
    told = []
    for reason, wrong in reasons.items():
        told.append(f"{int((wrong.to_numpy() & kept).sum())} {reason}")
        kept &= ~wrong.to_numpy()
    n_cancelled = int(table["InvoiceNo"].str.startswith("C")[kept].sum())
    _log.info(
        "online_retail: %d rows; left out: %s; %d of the others are cancellations",
        n_rows,
        ", ".join(told),
        n_cancelled,
    )
    rows = table[kept]
    return rows.assign(user=rows["CustomerID"].astype(np.int64), item=item[kept])
