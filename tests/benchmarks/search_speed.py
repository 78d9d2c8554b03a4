"""Trials an hour of whole searches, every side doing the same work.

Each side searches the learning rate and the regularisation of MF with BPR, d = 64, on one split,
with the same epochs and no early stopping, and evaluates validation by the same number of metrics
every few epochs. The sides take turns within one run. hbpr, plain Ray Tune and Optuna train the
same hbpr model; RecBole and WarpRec train their own BPR.

*Warm* is the rate from the end of the first trials, one on each CPU, to the end of the last trial.
What was before the first trial began, and what came after the last ended, stands apart. Slow sides
run fewer trials, and their rate is that of the trials they ran. A trial of RecBole has all CPUs,
since its trials run one after another; Optuna's loop runs on one CPU and records nothing.
"""

import argparse
import os
from pathlib import Path
from typing import Any

import harness
import shapes

#: By name: library, and the share of the trials that a side runs.
SIDES = {
    "hbpr tune": ("hbpr", 1.0),
    "plain Ray Tune": ("ray_tune", 0.5),
    "Optuna, serial": ("optuna", 0.5),
    "RecBole HyperTuning": ("recbole", 0.125),
    "WarpRec": ("warprec", 0.125),
}
EPOCHS = {"tiny": 4, "ml-100k": 20, "ml-1m": 30}


def rates(found: dict[str, Any], cpus: int) -> dict[str, Any]:
    """Trials an hour and the seconds apart, of one answer.

    Args:
        found: A side's answer, see ``sides/search_common.py``.
        cpus: CPUs, each of which runs one trial at a time.
    """
    ends = sorted(found["ends"])
    n_first = min(cpus, len(ends) - 1)
    warm_s = max(ends[-1] - ends[n_first - 1], 1e-9)
    told = {
        "trials": len(ends),
        "warm_trials_per_h": 3600 * (len(ends) - n_first) / warm_s,
        "all_trials_per_h": 3600 * len(ends) / (found["returned"] - found["started"]),
        "start_up_s": found["first"] - found["started"],
        "first_trials_s": ends[n_first - 1] - found["first"],
        "after_s": found["returned"] - ends[-1],
    }
    if "work" in found:
        busy = sum(seconds for at, seconds, _ in found["work"] if at > ends[n_first - 1])
        told["busy_share"] = busy / (warm_s * cpus)
    return told


def describe(dataset: str, answers: dict[str, list[harness.Answer]], options: Any) -> str:
    """Markdown: a row a side."""
    rows, notes = [], []
    ours = harness.median(harness.values(answers.get("hbpr tune", []), "warm_trials_per_h"))
    for name, found in answers.items():
        if not found or "missing" in found[0]:
            notes.append(f"- **{name}** is missing: {found[0]['missing'] if found else 'not run'}")
            continue
        warm = harness.values(found, "warm_trials_per_h")
        n_trials = int(found[0]["trials"])
        rows.append(
            [
                name,
                str(n_trials) if n_trials == options.trials else f"{n_trials} (extrapolated)",
                f"{harness.median(warm):,.0f}",
                harness.listed(warm, 0),
                f"{harness.median(harness.values(found, 'all_trials_per_h')):,.0f}",
                *(
                    f"{harness.median(harness.values(found, key)):.1f}"
                    for key in ("start_up_s", "first_trials_s", "after_s")
                ),
                f"{ours / harness.median(warm):.1f}" if ours else "–",
            ]
        )
    header = [
        f"{dataset}, {EPOCHS[dataset]} epochs",
        "trials",
        "warm trials/h",
        "each run",
        "with start and end",
        "start-up s",
        "first trials s",
        "end s",
        "hbpr / side",
    ]
    shares = harness.values(answers.get("hbpr tune", []), "busy_share")
    if shares:
        notes.insert(
            0,
            "Training and evaluation as a share of wall time × CPUs, hbpr, warm: "
            + ", ".join(f"{share:.1%}" for share in shares),
        )
    return "\n\n".join([f"### {dataset}", harness.table(header, rows), "\n".join(notes)]).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", choices=EPOCHS, default=["ml-100k", "ml-1m"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--trials", type=int, default=64, help="of hbpr; default 64")
    parser.add_argument("--pairs", type=int, default=3, help="rounds of all sides; default 3")
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="default: all")
    parser.add_argument("--eval-every", type=int, default=5, help="epochs; default 5")
    parser.add_argument("--batch", type=int, default=4096, help="of RecBole and WarpRec; 4096")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds of one search")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    texts = [__doc__.strip()]
    for dataset in options.datasets:
        path = shapes.prepare(dataset)
        answers: dict[str, list[harness.Answer]] = {name: [] for name in options.sides}
        for turn in range(options.pairs):
            for name in options.sides:
                if answers[name] and "missing" in answers[name][-1]:
                    continue
                library, share = SIDES[name]
                request = {
                    "data": str(path),
                    "settings": {
                        "d": 64,
                        "epochs": EPOCHS[dataset],
                        "eval_every": min(options.eval_every, EPOCHS[dataset]),
                        "batch_size": options.batch,
                    },
                    "trials": max(options.cpus + 2, round(share * options.trials)),
                    "cpus": options.cpus,
                    "threads": options.cpus if library == "recbole" else 1,
                    "seed": turn,
                    "timeout_s": options.timeout,
                }
                told = harness.run_side(library, "search", request)
                if "missing" not in told:
                    told = rates(told, options.cpus) | {"best": told.get("best")}
                answers[name].append(told)
                harness.say(f"{dataset}, round {turn + 1}, {name}: {told}")
        found[dataset] = answers
        texts.append(describe(dataset, answers, options))
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, "Speed of a search", settings, found, "\n\n".join(texts))


if __name__ == "__main__":
    main()
