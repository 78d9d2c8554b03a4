"""Run the benchmark programs and write a dated report of what they found.

Each program leaves a JSON file in ``.venv-bench/results``, and the report is written from all that
lie there: with ``--only`` long programs can be run one by one.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import harness
import time_to_ease
import train_speed
from environments import HERE, HOME, ROOT, STEPS, python_of, why_missing

RESULTS = HOME / "results"
#: By the name of its result: program, arguments, and arguments of a quick run.
PROGRAMS: dict[str, tuple[str, list[str], list[str]]] = {
    "train_speed": (
        "train_speed.py",
        [],
        ["--datasets", "ml-100k", "--pairs", "1", "--seconds", "0.3"],
    ),
    "evaluation_speed": ("evaluation_speed.py", [], ["--pairs", "1", "--seconds", "0.3"]),
    "quality_ml-100k": (
        "quality.py",
        ["--dataset", "ml-100k"],
        ["--dataset", "ml-100k", "--trials", "2", "--seeds", "2", "--max-epochs", "20"],
    ),
    "quality_ml-1m": ("quality.py", ["--dataset", "ml-1m"], []),
    "time_to_ease": ("time_to_ease.py", [], ["--datasets", "tiny", "--rounds", "1"]),
    "quality_vs_cost": (
        "quality_vs_cost.py",
        ["--figure", str(ROOT / "docs" / "quality-vs-cost.svg")],
        ["--datasets", "tiny", "--max-epochs", "2"],
    ),
    "search_speed": (
        "search_speed.py",
        [],
        ["--datasets", "tiny", "--pairs", "1", "--trials", "8"],
    ),
    "trivial_trials": ("trivial_trials.py", [], ["--trials", "60"]),
    "asha_vs_random": (
        "asha_vs_random.py",
        [],
        ["--datasets", "ml-100k", "--trials", "6", "--seeds", "1", "--set", "training.n_iter=10"],
    ),
    "start_points": ("start_points.py", [], ["--trials", "3", "--epochs", "8", "--seeds", "1"]),
    "kill_and_resume": (
        "kill_and_resume.py",
        [],
        ["--studies", "1", "--trials", "6", "--kills", "1"],
    ),
    "scaling": ("scaling.py", [], ["--most-pairs", "300000", "--points", "3", "--seconds", "0.2"]),
}
#: What DESIGN asks of training on one thread, by dataset.
FUSED_BARS = {"ml-100k": 2.0, "ml-1m": 2.5, "large": 4.0}


def hardware() -> str:
    """Processor, cores, caches and memory, as a list."""
    wanted = ("Model name", "CPU(s)", "Thread(s) per core", "L1d cache", "L2 cache", "L3 cache")
    lines = []
    if shutil.which("lscpu"):
        told = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
        for line in told.splitlines():
            key, _, value = line.partition(":")
            if key.strip() in wanted:
                lines.append(f"- {key.strip()}: {value.strip()}")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        lines.append(f"- Memory: {memory / 2**30:.0f} GiB")
    lines.append(f"- System: {platform.system()} {platform.release()}")
    return "\n".join(lines)


def versions() -> str:
    """hbpr's commit, and the versions of every side."""
    git = ["git", "-C", str(ROOT)]
    commit = _output([*git, "rev-parse", "--short", "HEAD"]) or "unknown"
    changed = _output([*git, "status", "--porcelain", "--", "hbpr", "tune"])
    own = ("numpy", "numba", "scipy", "torch")
    lines = [
        f"- hbpr: commit {commit}{' with changes' if changed else ''}, Python "
        f"{platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in own)
    ]
    for peer in STEPS:
        reason = why_missing(peer)
        if reason is not None:
            lines.append(f"- **{peer} is missing**: {reason}")
            continue
        code = (
            "from importlib.metadata import version as v\n"
            f"print('{peer}', v('{peer}') + ', numpy', v('numpy') + ', scipy', v('scipy'))"
        )
        lines.append(f"- {_output([str(python_of(peer)), '-c', code])}")
    return "\n".join(lines)


def against_bars(results: dict[str, Any]) -> str:
    """A row for everything that must be reached."""
    rows = []

    def row(what: str, bar: float, measured: float | None, *, at_most: bool = False) -> None:
        sign = "≤" if at_most else "≥"
        if measured is None:
            rows.append([what, f"{sign} {bar:g}", "–", "not measured"])
            return
        met = measured <= bar if at_most else measured >= bar
        rows.append([what, f"{sign} {bar:g}", f"{measured:.2f}", "yes" if met else "**no**"])

    speed = results.get("train_speed", {}).get("found", {})
    for dataset in FUSED_BARS:
        told = {title: wall for title, wall, _ in train_speed.ratios(speed.get(dataset, {}))}

        def ratio(title: str, told: dict[str, list[float]] = told) -> float | None:
            return harness.median(told.get(title, []))

        fused = ratio("fused sgd / fastest of implicit, cornac, threads: 1")
        row(f"fused / fastest of implicit, cornac, {dataset}", FUSED_BARS[dataset], fused)
        row(
            f"fused, two threads / one, {dataset}",
            1.6,
            ratio("fused sgd: two threads / one thread"),
        )
        if dataset != "large":
            features = ratio("fused, features / LightFM, features, threads: 1")
            row(f"fused with features / LightFM, {dataset}", 3.0, features)
            row(f"autograd / RecBole, {dataset}", 2.0, ratio("autograd / RecBole, threads: 1"))
    evaluation = results.get("evaluation_speed", {}).get("found", {})
    ours = harness.values(evaluation.get("hbpr", []), "evaluation_s")
    for name in ("implicit", "RecBole"):
        theirs = harness.values(evaluation.get(name, []), "evaluation_s")
        row(f"evaluation: {name} / hbpr, ml-1m", 3.0, harness.median(harness.ratios(theirs, ours)))
    epochs = harness.values(evaluation.get("one epoch of training, hbpr", []), "epoch_s")
    row(
        "one evaluation / one fused epoch, ml-1m",
        3.0,
        harness.median(harness.ratios(ours, epochs)),
        at_most=True,
    )
    for dataset in ("ml-100k", "ml-1m"):
        found = results.get(f"quality_{dataset}", {}).get("found", {})
        means = {
            name: sum(run["test"] for run in result["seeds"]) / len(result["seeds"])
            for name, result in found.items()
            if "missing" not in result
        }
        peers = [mean for name, mean in means.items() if not name.startswith("hbpr")]
        ours = [mean for name, mean in means.items() if name.startswith("hbpr")]
        row(
            f"test NDCG@10: hbpr / best of peers, {dataset}",
            1.0,
            max(ours) / max(peers) if ours and peers else None,
        )
    for dataset, each in results.get("time_to_ease", {}).get("found", {}).items():
        seconds = [one for one in each["seconds"].get("hbpr", []) if one is not None]
        if dataset in time_to_ease.BARS:
            row(
                f"training seconds to EASE's validation NDCG@10, {dataset}",
                time_to_ease.BARS[dataset],
                harness.median(seconds),
                at_most=True,
            )
    search_bars(results, row)
    return harness.table(["what", "bar", "measured", "met"], rows)


def search_bars(results: dict[str, Any], row: Callable[..., None]) -> None:
    """The rows of the search."""
    speed = results.get("search_speed", {}).get("found", {})

    def of(dataset: str, side: str, key: str) -> float | None:
        return harness.median(harness.values(speed.get(dataset, {}).get(side, []), key))

    for dataset in ("ml-100k", "ml-1m"):
        ours, plain = (
            of(dataset, side, "warm_trials_per_h") for side in ("hbpr tune", "plain Ray Tune")
        )
        if dataset == "ml-100k":
            row(f"trials an hour, warm, {dataset}", 8000, ours)
        else:
            share = of(dataset, "hbpr tune", "busy_share")
            row(f"training and evaluation, share of wall × CPUs, {dataset}", 0.8, share)
        ratio = ours / plain if ours and plain else None
        row(f"trials an hour, hbpr / plain Ray Tune, {dataset}", 5, ratio)
    trivial = results.get("trivial_trials", {}).get("found", {})
    for key, what in (
        ("added_first_s", "seconds added to a trial, the first hundred"),
        ("added_last_s", "seconds added to a trial, the last hundred of 1,000"),
    ):
        row(what, 0.15, trivial.get(key), at_most=True)
    if "added_last_s" in trivial:
        grown = trivial["added_last_s"] - trivial["added_first_s"]
        row("seconds more in the last hundred than in the first", 0, grown, at_most=True)
    row("MB of the driver for ten trials", 1, trivial.get("growth_mb_per_10_trials"), at_most=True)
    asha = results.get("asha_vs_random", {}).get("found", {})
    for dataset in ("ml-100k", "ml-1m"):
        for start, medians in asha.get(dataset, {}).get("medians", {}).items():
            what = f"training to random's best: ASHA + TPE, {start}, / random, {dataset}"
            row(what, 0.25, medians["training_ratio"], at_most=True)
    killed = results.get("kill_and_resume", {}).get("found", [])
    right = sum(each["ok"] for each in killed) / len(killed) if killed else None
    row("share of killed and resumed studies with nothing lost", 1, right)


def compose(results: dict[str, Any], today: str, quick: bool) -> str:
    """The whole report."""
    title = f"# Benchmarks, {today}" + (" (quick: too short to compare)" if quick else "")
    parts = [
        title,
        "## Hardware",
        hardware(),
        "## Versions",
        versions(),
        "Every measurement is a process of its own; the sides take turns within one run. Ratios "
        "are medians over the rounds, from wall-clock seconds; CPU seconds stand beside them.",
        "## Against the bars",
        against_bars(results),
    ]
    for name, result in results.items():
        parts += [f"## {result['title']}", result["text"]]
        if name == "scaling":
            parts.append(f"![Cost as work grows]({today}-scaling.png)")
        settings = json.dumps(result["settings"], indent=1)
        parts.append(
            f"<details><summary>Settings, measured {result['at']}</summary>\n\n"
            f"```json\n{settings}\n```\n\n</details>"
        )
    absent = [name for name in PROGRAMS if name not in results]
    if absent:
        parts += ["## Not run, or failed", ", ".join(absent)]
    return "\n\n".join(parts) + "\n"


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--quick", action="store_true", help="a few minutes: does it all run?")
    parser.add_argument("--no-run", action="store_true", help="write the report from old results")
    parser.add_argument("--folder", type=Path, default=HERE / "reports", help="of the report")
    options = parser.parse_args()
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    results_folder = RESULTS / "quick" if options.quick else RESULTS
    failed = False
    for name in options.only:
        program, arguments, quick = PROGRAMS[name]
        if options.no_run or (options.quick and not quick):
            continue
        path = results_folder / f"{name}.json"
        path.unlink(missing_ok=True)  # a program that fails leaves no old result behind
        line = [sys.executable, str(HERE / program), *(quick if options.quick else arguments)]
        harness.say(f"== {name}")
        failed |= subprocess.run([*line, "--output", str(path)], check=False).returncode != 0
    results = {}
    for name in PROGRAMS:
        path = results_folder / f"{name}.json"
        if path.exists():
            results[name] = json.loads(path.read_text())
    report = options.folder / f"{today}{'-quick' if options.quick else ''}.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    figure = results_folder / "scaling.png"
    if "scaling" in results and figure.exists():
        shutil.copyfile(figure, report.parent / f"{today}-scaling.png")
    report.write_text(compose(results, today, options.quick))
    harness.say(f"report: {report}")
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
