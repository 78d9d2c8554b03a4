"""What the platform adds to a trial, over a study of many trials that do next to nothing.

Every trial trains one epoch of a tiny dataset. The cost of a trial is the time it holds a CPU (wall
seconds between the ends of trials, times CPUs) less the seconds of training and evaluation that it
reports. CPU time of the driver is that of its process, MLflow's records included: other work on the
machine moves it less. The driver's memory is its resident memory when trials end; the growth is the
slope over all trials after the first hundred.

With ``--sleep`` a trial also sleeps a second in its evaluation, so that more trials run at a time
than there are cores: ``--trials 10000 --sleep --cpus 16``. ``--nodes 50`` runs them on a cluster of
so many nodes of one CPU, all of them on this machine, ``--cpus`` at a time.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import numpy as np
import shapes


def added(found: dict[str, Any], first: int, last: int, cpus: int) -> list[float]:
    """Seconds that each of the trials ``first`` to ``last``, by their end, cost beside its work.

    Ends come in bunches, so that each is a mean over twenty trials. Of work that was under way when
    the twenty began, only what came after is taken off.
    """
    ends = found["ends"]
    stops, seconds = np.array([[at, seconds] for at, seconds, _ in found["work"]], float).T
    costs = []
    step = min(20, last - first)
    for i in range(first, last - step + 1, step):
        begin, end = ends[i - 1], ends[i + step - 1]
        inside = np.minimum(stops, end) - np.maximum(stops - seconds, begin)
        work = np.clip(inside, 0.0, None).sum()
        costs += [((end - begin) * cpus - work) / step] * step
    return costs


def growth(found: dict[str, Any], skip: int) -> float | None:
    """MB of resident memory that ten trials add, after the first ones."""
    ends = found["ends"]
    points = [
        (bisect_right(ends, at), size)
        for at, size, _ in found["driver"]
        if skip <= bisect_right(ends, at) < len(ends)
    ]
    if len({n for n, _ in points}) < 3:
        return None
    n_ended, sizes = np.array(points, float).T
    return float(10 * np.polyfit(n_ended, sizes, 1)[0] / 1e6)


def driver_cpu(found: dict[str, Any], first: int, last: int) -> float | None:
    """CPU seconds of the driver's process for each of the trials ``first`` to ``last``."""
    if len(found["driver"]) < 2:
        return None
    at, _, cpu_s = np.array(found["driver"], float).T
    begin, end = np.interp([found["ends"][first - 1], found["ends"][last - 1]], at, cpu_s)
    return float((end - begin) / (last - first))


def driver_mb(found: dict[str, Any], n_ended: int) -> float | None:
    """Resident MB of the driver when so many trials had ended."""
    if len(found["driver"]) < 2:
        return None
    at, size, _ = np.array(found["driver"], float).T
    return float(np.interp(found["ends"][n_ended - 1], at, size)) / 1e6


def judge(found: dict[str, Any], options: Any) -> dict[str, Any]:
    """The numbers of one study."""
    n_trials, cpus = len(found["ends"]), options.cpus
    part = min(1000 if n_trials >= 5000 else 100, max(n_trials // 3, 1))
    begin = min(cpus, n_trials - 1)
    costs = added(found, begin, n_trials, cpus)
    parts = range(begin, n_trials - part + 1, part)
    return {
        "trials": n_trials,
        "added_first_s": float(np.mean(added(found, begin, begin + part, cpus))),
        "added_last_s": float(np.mean(added(found, n_trials - part, n_trials, cpus))),
        "added_median_s": float(np.median(costs)),
        "added_by_part_s": [float(np.mean(added(found, i, i + part, cpus))) for i in parts],
        "part": part,
        # The figure of Tune's documentation for 10,000 trials of a second, 16 at a time: 715 s.
        "bar": f"≤ {n_trials / cpus * 715 / 625:.1f} s" if options.sleep else "–",
        "wall_s": found["ends"][-1] - found["first"],
        "whole_s": found["returned"] - found["started"],
        "seconds_a_result": [
            float(found["ends"][i + part - 1] - found["ends"][i - 1]) / part for i in parts
        ],
        "driver_mb_by_part": [driver_mb(found, i + part) for i in parts],
        "growth_mb_per_10_trials": growth(found, part),
        "driver_cpu_by_part_s": [driver_cpu(found, i, i + part) for i in parts],
        "driver_mb": found["driver"][-1][1] / 1e6 if found["driver"] else None,
        "runs": found["runs"],
        "complete": found["runs"] == {"FINISHED": n_trials},
        "states": found["states"],
    }


def describe(found: dict[str, Any]) -> str:
    """Markdown."""
    if "missing" in found:
        return f"missing: {found['missing']}"
    part, grown = found["part"], found["growth_mb_per_10_trials"]
    cpu = [seconds for seconds in found["driver_cpu_by_part_s"] if seconds is not None]
    memory = [size for size in found["driver_mb_by_part"] if size is not None]
    rows = [
        ["first trial to last", f"{found['wall_s']:.1f} s", found["bar"]],
        ["command to result", f"{found['whole_s']:.1f} s", "–"],
        [
            f"seconds a result, {part} by {part}",
            ", ".join(f"{seconds:.4f}" for seconds in found["seconds_a_result"]),
            "flat",
        ],
        [
            f"driver's memory, {part} by {part}",
            ", ".join(f"{size:.0f}" for size in memory) + " MB" if memory else "–",
            "flat",
        ],
        [f"added a trial, first {part}", f"{found['added_first_s'] * 1000:.0f} ms", "≤ 150 ms"],
        [f"added a trial, last {part}", f"{found['added_last_s'] * 1000:.0f} ms", "≤ 150 ms"],
        ["added a trial, median", f"{found['added_median_s'] * 1000:.0f} ms", "≤ 150 ms"],
        [
            f"last {part} less first {part}",
            f"{(found['added_last_s'] - found['added_first_s']) * 1000:+.0f} ms",
            "flat",
        ],
        [
            f"added a trial, {part} by {part}",
            ", ".join(f"{seconds * 1000:.0f}" for seconds in found["added_by_part_s"]) + " ms",
            "flat",
        ],
        [
            f"CPU time of the driver a trial, {part} by {part}",
            ", ".join(f"{seconds * 1000:.0f}" for seconds in cpu) + " ms" if cpu else "–",
            "flat",
        ],
        [
            "driver's memory, growth for 10 trials",
            "–" if grown is None else f"{grown:.2f} MB",
            "≤ 1 MB",
        ],
        [
            "runs in MLflow",
            ", ".join(f"{n} {status}" for status, n in found["runs"].items()),
            f"{found['trials']} FINISHED",
        ],
    ]
    return harness.table([f"{found['trials']} trials", "measured", "bar"], rows)


@contextmanager
def cluster(n_nodes: int) -> Iterator[dict[str, Any]]:
    """Start that many nodes on this machine; what a request needs to join them."""
    if not n_nodes:
        yield {}
        return
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    program = [sys.executable, str(harness.HERE / "sides" / "nodes.py"), str(n_nodes)]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nodes:
        assert nodes.stdin is not None
        assert nodes.stdout is not None
        address = None
        for line in nodes.stdout:
            if address := re.match(r"cluster at (\S+)", line):
                harness.say(line.strip())
                break
        if address is None:
            raise SystemExit(f"{n_nodes} nodes did not start")
        try:
            yield {"address": address[1]}
        finally:
            nodes.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--cpus", type=int, default=os.cpu_count(), help="default: all")
    parser.add_argument("--algorithm", default="tpe", help="as sweep.search.algorithm")
    parser.add_argument("--sleep", action="store_true", help="trials sleep a second")
    parser.add_argument("--nodes", type=int, default=0, help="simulated nodes; 0: a private Ray")
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    request = {
        "data": str(shapes.prepare("tiny")),
        "settings": {"d": 4, "epochs": 1, "eval_every": 1},
        "trials": options.trials,
        "algorithm": options.algorithm,
        "cpus": options.cpus,
        "at_a_time": options.cpus,
        "metrics": ["sleeping:slept_a_second"] if options.sleep else [],
        "threads": 1,
        "seed": 0,
    }
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started here, too
    with cluster(options.nodes) as joined:
        told = harness.run_side("hbpr", "search", request | joined)
    found = told if "missing" in told else judge(told, options)
    text = f"{__doc__.strip()}\n\n{describe(found)}"
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, "What the platform adds to a trial", settings, found, text)


if __name__ == "__main__":
    main()
