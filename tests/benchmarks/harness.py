"""Run one side of a benchmark in its own process, and write what was found."""

import datetime
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from environments import HERE, ROOT, python_of, why_missing

#: A side's answer; ``{"missing": reason}`` where it cannot run.
Answer = dict[str, Any]


def say(text: str = "") -> None:
    """Write a line at once, so that a long program can be followed."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def command(library: str, task: str, request: Mapping[str, Any]) -> list[str]:
    """The command line of a side."""
    program = HERE / "sides" / f"{'search' if task == 'search' else 'run'}_{library}.py"
    return [str(python_of(library)), str(program), task, json.dumps(request)]


def surroundings(threads: int) -> dict[str, str]:
    """Environment of a side: every thread pool as large as the threads it is given."""
    pools = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    return {
        **os.environ,
        **{f"{pool}_NUM_THREADS": str(threads) for pool in pools},
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }


def run_side(library: str, task: str, request: Mapping[str, Any]) -> Answer:
    """Run one measurement in a fresh process and return its answer, or why there is none.

    A request may hold ``timeout_s``, after which a side counts as missing.
    """
    reason = why_missing(library)
    if reason is not None:
        return {"missing": reason}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        side = subprocess.Popen(
            command(library, task, request),
            env=surroundings(request["threads"]),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, errors = side.communicate(timeout=request.get("timeout_s"))
        except subprocess.TimeoutExpired:
            os.killpg(side.pid, signal.SIGKILL)
            side.communicate()
            return {"missing": f"failed: no answer within {request['timeout_s']} s"}
        except BaseException:
            os.killpg(side.pid, signal.SIGTERM)
            raise
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if side.returncode or not lines:
        last = (errors.strip().splitlines() or [f"exit status {side.returncode}"])[-1]
        return {"missing": f"failed: {last.replace(str(ROOT), '.')}"}
    return json.loads(lines[-1])


def alternate(
    sides: Mapping[str, tuple[str, str, Mapping[str, Any]]], pairs: int
) -> dict[str, list[Answer]]:
    """Run every side in turn, again and again; a missing one is not tried twice.

    Args:
        sides: By name: library, task and request.
        pairs: How often.
    """
    answers: dict[str, list[Answer]] = {name: [] for name in sides}
    for _ in range(pairs):
        for name, side in sides.items():
            if not (answers[name] and "missing" in answers[name][-1]):
                answers[name].append(run_side(*side))
    return answers


def values(answers: Sequence[Answer], key: str) -> list[float]:
    """One number of every answer; empty where the side is missing."""
    return [] if any("missing" in answer for answer in answers) else [a[key] for a in answers]


def median(numbers: Sequence[float]) -> float | None:
    """Median, or None of nothing."""
    return statistics.median(numbers) if numbers else None


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, pair by pair."""
    return [a / b for a, b in zip(ours, theirs, strict=True)] if theirs and ours else []


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def listed(numbers: Sequence[float], digits: int = 2) -> str:
    """All of some numbers, in words."""
    return ", ".join(f"{number:.{digits}f}" for number in numbers) or "–"


def write(
    path: Path | None, title: str, settings: Mapping[str, Any], found: Any, text: str
) -> None:
    """Print a program's result, and write it down for the report."""
    say(f"\n{text}")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        result = {
            "title": title,
            "at": datetime.datetime.now(tz=datetime.UTC).isoformat(" ", "minutes"),
            "settings": dict(settings),
            "found": found,
            "text": text,
        }
        path.write_text(json.dumps(result, indent=1))
