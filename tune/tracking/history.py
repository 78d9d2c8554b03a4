"""What the events of a study's records so far come to."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from hbpr.names import best_name
from hbpr.tracking import tags as tag
from hbpr.tracking.records import RunRecord
from tune.tracking.outbox import Event
from tune.tracking.runs import RunKey, key_of_event


class History:
    """What the events so far say of each trial and of the study's end.

    Args:
        monitor: Metric that the study maximises.

    Attributes:
        started: Numbers of the trials that have a run.
        ended: Those whose run is closed.
        errors: Why trials failed, by number.
        restarts: By trial: crashes of its process that were made good.
        hangs: By trial: times that its process hung and was killed.
        runs: By trial: when and on which machine it ran, as its run in MLflow says it.
    """

    def __init__(self, monitor: str) -> None:
        self.started: set[int] = set()
        self.ended: set[int] = set()
        self.errors: dict[int, str] = {}
        self.restarts: Counter[int] = Counter()
        self.hangs: Counter[int] = Counter()
        self.runs: dict[int, RunRecord] = {}
        self._best_name = best_name(monitor)
        self._best: dict[int, float] = {}
        self._last_step: dict[int, int] = {}
        self._final: Event | None = None
        self._repeats: dict[RunKey, Event] = {}

    @property
    def open(self) -> list[int]:
        """Trials whose run is open, by number."""
        return sorted(self.started - self.ended)

    def note(self, event: Event) -> None:
        """Take in one event; they come in the order of the journal."""
        number = event.get("trial")
        if event["event"] == "final":
            self._final = event
        elif event["event"] == "repeat":
            self._repeats[key_of_event(event)] = event
        if number is None:
            return
        self._note_run(number, event)
        if event["event"] == "start":
            self.started.add(number)
            self.ended.discard(number)
            self.errors.pop(number, None)
        elif event["event"] == "result":
            self._last_step[number] = max(event["step"], self.last_step(number))
            if self._best_name in event["metrics"]:
                self._best[number] = event["metrics"][self._best_name]
        elif event["event"] == "tag" and tag.RESTARTS in event["tags"]:
            self.restarts[number] = int(event["tags"][tag.RESTARTS])
            self.hangs[number] = int(event["tags"][tag.HANGS])
        elif event["event"] == "end":
            self.ended.add(number)
            if tag.ERROR in event.get("tags", {}):
                self.errors[number] = event["tags"][tag.ERROR]

    def _note_run(self, number: int, event: Event) -> None:
        run = self.runs.get(number)
        if event["event"] == "start":
            began_at = run.began_at if run else event["at"]
            self.runs[number] = RunRecord(
                event["name"], "trial", began_at, node=run.node if run else ""
            )
        elif run is not None:
            ended_at = event["at"] if event["event"] == "end" else run.ended_at
            node = event.get("tags", {}).get(tag.NODE, run.node)
            if (ended_at, node) != (run.ended_at, run.node):
                self.runs[number] = replace(run, ended_at=ended_at, node=node)

    def last_step(self, number: int) -> int:
        """Return the last epoch that a trial has a result of; 0 where it has none."""
        return self._last_step.get(number, 0)

    def best(self, number: int) -> float:
        """Return a trial's best value; -inf where it has none."""
        return self._best.get(number, -math.inf)

    def time_of(self, final: Event) -> int | None:
        """Return when this very answer of the study was recorded; None where it was not."""
        before = self._final
        return int(before["at"]) if before is not None and _same(before, final) else None

    def knows_repeat(self, repeat: Event) -> bool:
        """Return whether this very repeat was recorded, be it at another time."""
        before = self._repeats.get(key_of_event(repeat))
        return before is not None and _same(before, repeat)


def failure_notes(errors: Mapping[int, str]) -> list[str]:
    """Return in words how many trials failed and why the first did; empty where none failed.

    Example:
        >>> failure_notes({7: "DivergedError: epoch 1", 3: "OSError: gone"})
        ['2 trials failed; the first, trial 3: OSError: gone']
        >>> failure_notes({3: "OSError: gone"})
        ['trial 3 failed: OSError: gone']
    """
    if not errors:
        return []
    first = min(errors)
    if len(errors) == 1:
        return [f"trial {first} failed: {errors[first]}"]
    return [f"{len(errors)} trials failed; the first, trial {first}: {errors[first]}"]


def restart_notes(n_restarts: int, n_hangs: int) -> list[str]:
    """Return in words what happened to trials' processes and was made good.

    Example:
        >>> restart_notes(2, 0)
        ["crashes of a trial's process made good: 2"]
    """
    notes = []
    if n_restarts:
        notes.append(f"crashes of a trial's process made good: {n_restarts}")
    if n_hangs:
        notes.append(f"processes of trials that hung and were killed: {n_hangs}")
    return notes


def _same(one: Event, other: Event) -> bool:
    times = ("at", "began_at")
    first, second = ({k: v for k, v in each.items() if k not in times} for each in (one, other))
    return first == second
