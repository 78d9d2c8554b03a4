"""A study as another process sees it while it runs: from its folder alone, read again and again."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

from hbpr.formats import data_words
from hbpr.tracking.records import TrialRecord
from tune.report.pace import Pace
from tune.settings import StudyPlan, plan_of_started
from tune.storage.folder import StudyFolder, read_settings
from tune.storage.trials import JournalReader
from tune.tracking.outbox import Event, is_in_use
from tune.tracking.tail import Tail

#: Seconds for which a study that nobody holds is taken for one that starts or comes to its end.
_SETTLES_S: Final = 5.0

Running = Literal["running", "finished", "unfinished"]


@dataclass(frozen=True)
class Sight:
    """What is seen of a study at one moment.

    Attributes:
        state: Whether it runs, has come to its result, or neither.
        trials: By number.
        total: Trials of the whole study.
        best: The trial with the highest value inside of all limits; None: there is none yet.
        nodes: Trial -> machine that it last reported from.
        data: The data in words; empty where that was not recorded.
        sitting_s: Seconds since the first trial of this sitting started; 0 before.
        before_s: Seconds in which trials of earlier sittings ran.
        left_s: Seconds that are left; None where nobody can say.
    """

    state: Running
    trials: list[TrialRecord]
    total: int
    best: TrialRecord | None
    nodes: dict[int, str]
    data: str
    sitting_s: float
    before_s: float
    left_s: float | None

    @property
    def running(self) -> list[TrialRecord]:
        """The trials that run; none where nobody runs them."""
        if self.state != "running":
            return []
        return [trial for trial in self.trials if trial.state == "RUNNING"]

    @property
    def ended(self) -> Counter[str]:
        """Number of trials that have ended, by state."""
        return Counter(trial.state for trial in self.trials if trial.state != "RUNNING")


class Observer:
    """Looks at a study.

    Args:
        folder: The study's.

    Raises:
        StudyFolderError: It is none, or one of another version of hbpr.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder
        self.settings = read_settings(folder.path)[0]
        self.plan: StudyPlan = plan_of_started(self.settings)
        self._journal = JournalReader(folder.path, self.plan.space)
        self._tail = Tail(folder.path)
        self._pace = Pace()
        self._n_sittings = 0
        self._held_at = folder.settings.stat().st_mtime

    def look(self) -> Sight:
        """Return what is to be seen now."""
        now, tail = time.time(), self._tail
        state = self._state(now)
        for event in tail.new():
            self._follow(event)
        trials = self._journal.read()
        total = self.plan.n_trials + self.plan.most_copies
        n_ended = sum(trial.state != "RUNNING" for trial in trials)
        spans = [(last - first) / 1000 for first, last in tail.sittings]
        sitting_s = spans[-1] if spans else 0.0
        if state == "running" and spans and n_ended < total:
            sitting_s = now - tail.sittings[-1][0] / 1000
        return Sight(
            state=state,
            trials=trials,
            total=total,
            best=self._best(trials),
            nodes=tail.nodes,
            data=data_words(tail.data, tail.n_users, tail.n_items),
            sitting_s=sitting_s,
            before_s=sum(spans[:-1]),
            left_s=self._pace.left_s(total - n_ended, now) if state == "running" else None,
        )

    def _state(self, now: float) -> Running:
        if self.folder.finished:
            return "finished"
        if is_in_use(self.folder.path):
            self._held_at = now
        return "running" if now - self._held_at < _SETTLES_S else "unfinished"

    def _follow(self, event: Event) -> None:
        """Let the pace follow the trials of the newest sitting."""
        if len(self._tail.sittings) != self._n_sittings:
            self._n_sittings = len(self._tail.sittings)
            wall_s = self.settings.sweep.budget.wall_s
            before_s = sum((last - first) / 1000 for first, last in self._tail.sittings[:-1])
            self._pace = Pace(None if wall_s is None else wall_s - before_s)
        number = event.get("trial")
        if number is None:
            return
        if event["event"] == "result":
            self._pace.report(number, event["step"], event["at"] / 1000)
        elif event["event"] == "end":
            self._pace.end(number)

    def _best(self, trials: list[TrialRecord]) -> TrialRecord | None:
        goals = self.plan.goals
        able = [t for t in trials if t.value is not None and goals.feasible(t.at_best)]
        return max(able, key=lambda t: (t.value or 0.0, -t.number), default=None)
