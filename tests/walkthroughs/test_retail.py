"""The retail walk-through: short on a generated sheet, whole on the real one."""

import csv
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from hbpr.data.download import data_home

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def retail() -> ModuleType:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl, which is not installed")
    spec = importlib.util.spec_from_file_location("retail", HERE / "retail.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_sheet(folder: Path) -> None:
    """Invoices as the published sheet has them: 60 customers, 40 products, some cancelled."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    with (folder / "online_retail.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        head = "InvoiceNo StockCode Description Quantity InvoiceDate UnitPrice CustomerID Country"
        writer.writerow(head.split())
        day, country = "2010-12-01 08:26:00", "United Kingdom"
        for invoice in range(600):
            customer, pieces = int(rng.integers(60)), int(rng.integers(1, 9))
            item = ((customer % 4) * 10 + int(rng.integers(12))) % 40
            what = (f"{536000 + invoice}", f"{20000 + item}", f"GIFT NUMBER {item}")
            writer.writerow([*what, pieces, day, 2.5, 13000 + customer, country])
        writer.writerow(["C1", "20001", "GIFT NUMBER 1", -1, day, 2.5, "", country])


@pytest.mark.slow
def test_the_steps_of_the_guide(
    retail: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sheet(tmp_path / "data" / "uci-online-retail")
    monkeypatch.setenv("HBPR_DATA_HOME", str(tmp_path / "data"))
    small = ["model.n_latent=8", "training.n_iter=4", "training.eval_every=2"]
    folder = tmp_path / "work"
    folder.mkdir()
    answer = retail.walk(folder, customers=["13001", "13002"], settings=small, search=False)
    table = pd.read_csv(folder / "recs.csv")
    assert table["item_name"].str.startswith("GIFT NUMBER").all()
    for each, customer in zip(answer, (13001, 13002), strict=True):
        assert each["user"] == customer
        listed = table[table["user"] == customer]["item"].astype(str).tolist()
        assert [item["item"] for item in each["items"]] == listed[:10]


@pytest.mark.long
def test_the_steps_of_the_guide_on_the_real_sheet(retail: ModuleType, tmp_path: Path) -> None:
    if not (data_home(None) / "uci-online-retail" / "online_retail.csv").is_file():
        pytest.skip("Online Retail is not in HBPR_DATA_HOME")
    answer = retail.walk(tmp_path)
    assert [len(each["items"]) for each in answer] == [10, 10]
