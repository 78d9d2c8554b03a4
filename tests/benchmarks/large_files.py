"""Memory and time of large files that become interactions, beside a plain read of others.

Generated tables of a million to a hundred million rows (user, item, stars, time) are written as CSV
and as Parquet, and each is read in a process of its own, whose peak is that of its resident memory.
hbpr reads, judges, merges, numbers and splits; pandas and polars only read.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

USERS, ITEMS = 1_000_000, 100_000
CHUNK = 1_000_000
SIDES = ("hbpr", "pandas", "polars")
FORMATS = ("csv", "parquet")


def write(folder: Path, n_rows: int) -> None:
    """Write both files; users are texts, items integers, most drawn from few."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    schema = pa.schema(
        {"user": pa.string(), "item": pa.int64(), "stars": pa.int8(), "at": pa.int64()}
    )
    names = pa.array([f"u{k}" for k in range(USERS)])
    with (
        csv.CSVWriter(
            folder / "t.csv", schema, write_options=csv.WriteOptions(quoting_style="none")
        ) as text,
        parquet.ParquetWriter(folder / "t.parquet", schema) as packed,
    ):
        for start in range(0, n_rows, CHUNK):
            n = min(CHUNK, n_rows - start)
            users = names.take(pa.array((rng.random(n) ** 2 * USERS).astype(np.int64)))
            items = (rng.random(n) ** 3 * ITEMS).astype(np.int64)
            stars = rng.integers(1, 6, n, dtype=np.int8)
            at = 1_600_000_000 + rng.integers(0, 10**8, n)
            table = pa.table([users, items, stars, at], schema=schema)
            text.write_table(table)
            packed.write_table(table)


def read(side: str, path: Path) -> dict[str, Any]:
    """Read a file in this process, and say what it took."""
    columns = ["user", "item", "stars", "at"]
    started = time.perf_counter()
    if side == "hbpr":
        from hbpr.data import load_table
        from hbpr.settings.models import TableSettings

        table = TableSettings(path=str(path), value="stars", time="at")
        data = load_table(table).to_interactions()
        n = data.train.n_pairs + data.validation.n_pairs + data.test.n_pairs
    elif side == "pandas":
        import pandas as pd

        n = len(
            pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path, columns=columns)
        )
    else:
        import polars as pl

        n = len(
            pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path, columns=columns)
        )
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "rows": n,
        "wall_s": time.perf_counter() - started,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
    }


def _child(what: str, path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, __file__, "--child", what, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> None:
    """Write the tables, let each side read them, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10, 100])
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--folder", type=Path, help="where the tables are written")
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--formats", nargs="+", default=FORMATS, choices=FORMATS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, path = args.child[0], Path(args.child[1])
        if what in SIDES:
            sys.stdout.write(json.dumps(read(what, path)) + "\n")
        else:
            write(path, int(what))
        return
    found = []
    for millions in args.millions:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            folder = Path(name)
            # A child's peak begins with its parent's, so nothing large happens in this process.
            _child(str(int(millions * 1e6)), folder)
            for kind in args.formats:
                size = os.path.getsize(folder / f"t.{kind}") / 1e6
                for side in args.sides:
                    done = _child(side, folder / f"t.{kind}")
                    line = {"millions": millions, "format": kind, "file_mb": size, "side": side}
                    if done.returncode:
                        line["error"] = done.stderr.strip()[-300:] or f"exit {done.returncode}"
                    else:
                        line |= json.loads(done.stdout.splitlines()[-1])
                    sys.stdout.write(json.dumps(line) + "\n")
                    sys.stdout.flush()
                    found.append(line)
    if args.out is not None:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
