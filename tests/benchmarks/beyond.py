"""What metrics of recommended lists add to an evaluation: CPU seconds with over without.

Runs alternate, so that a busy machine slows both; the ratio of their medians is printed.

    python tests/benchmarks/beyond.py ml-1m --runs 7
"""

import argparse
import statistics
import sys
import time

import torch

from hbpr.data import load_data
from hbpr.evaluation import evaluate_part
from hbpr.models import build_model
from hbpr.settings.load import with_values
from hbpr.settings.models import DataSettings
from hbpr.settings.start import good_start

#: What is added to an evaluation in turn.
ASKED = {
    "popularity alone": ("coverage", "novelty", "arp", "gini"),
    "diversity too": ("coverage", "novelty", "diversity", "arp", "gini"),
}


def main() -> None:
    """Measure, and print the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("name", nargs="?", default="ml-1m")
    arguments.add_argument("--runs", type=int, default=7)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    data = load_data(DataSettings(name=asked.name, item_feature="both"))
    settings = with_values(good_start(), {"data.item_feature": "both"})
    model = build_model(settings.model, data, seed=0)
    kinds: dict[str, tuple[str, ...]] = {"without": (), **ASKED}
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for run in range(asked.runs + 1):
        for kind, metrics in kinds.items():
            began = time.process_time()
            evaluate_part(model, data, "val", (10, 20), metrics)
            if run:  # the first compiles
                seconds[kind].append(time.process_time() - began)
    plain = statistics.median(seconds["without"])
    sys.stdout.write(
        f"{asked.name}: {data.n_users} users, {data.n_items} items, without {plain:.3f} s\n"
    )
    for kind in ASKED:
        sys.stdout.write(f"{kind:18} x {statistics.median(seconds[kind]) / plain:.2f}\n")


if __name__ == "__main__":
    main()
