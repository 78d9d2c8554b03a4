"""What a person sees while a study runs: a live line on a terminal, a plain line now and then."""

import logging
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Self

from ray import tune as ray_tune
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from dashboards.words import STATES
from hbpr.formats import as_words, duration, times_line
from hbpr.tracking.records import TrialRecord
from tune.report.pace import Pace, roughly
from tune.report.say import stdout
from tune.settings.goals import Goals
from tune.trial.messages import VALUES, Result, best_of, epoch_of, number_of, outcome_of

logger = logging.getLogger(__name__)

_REFRESH_S = 0.25
_PLAIN_EVERY_S = 10.0


class Progress(ray_tune.Callback):
    """Count the trials of a study and show them.

    Args:
        total: Trials of the whole study.
        goals: What trials are compared by; shown is the best value of the first objective among
            the trials inside of all limits.
        before: Trials of earlier sittings of a resumed study.
        before_s: Seconds in which these ran.
        wall_s: Seconds that the budget gives to trials, over all sittings; None: no limit.
        console: Where to show it; None: stdout.
    """

    def __init__(
        self,
        total: int,
        goals: Goals,
        *,
        before: Sequence[TrialRecord] = (),
        before_s: float = 0.0,
        wall_s: float | None = None,
        console: Console | None = None,
    ) -> None:
        self._total = total
        self._goals, self._metric = goals, goals.objectives[0].metric
        states = [trial.state for trial in before]
        self._counts = {word: states.count(state) for state, word in STATES.items()}
        self._before_s = before_s
        self._pace = Pace(None if wall_s is None else wall_s - before_s)
        self._running: set[str] = set()
        seen = [
            (trial.value, trial.values)
            for trial in before
            if trial.value is not None and goals.feasible(trial.at_best)
        ]
        self._best: tuple[float, Mapping[str, Any]] | None = max(
            seen, key=itemgetter(0), default=None
        )
        self._console = console or stdout()
        self._live: Live | None = None
        self._bar = _bar(self._console)
        self._task = self._bar.add_task("", total=total)
        self._started = self._shown = time.monotonic()
        self._waits = True

    def setup(
        self,
        stop: Any = None,
        num_samples: int | None = None,
        total_num_samples: int | None = None,
        **info: Any,
    ) -> None:
        """Begin the count of time."""
        self._started = self._shown = time.monotonic()
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            self._live.update(self._picture(), refresh=True)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that runs; one that is started again is still one."""
        self._waits = False
        self._running.add(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Result, **info: Any
    ) -> None:
        """Keep the best value, and how far the trial is."""
        self._pace.report(number_of(trial), epoch_of(result) or 0, time.monotonic())
        value = best_of(result, self._goals)
        if value is not None and (self._best is None or value > self._best[0]):
            self._best = (value, trial.config[VALUES])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that ended in order."""
        self._end(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count a trial that crashed once too often."""
        self._end(trial)

    def _end(self, trial: Any) -> None:
        self._running.discard(trial.trial_id)
        self._pace.end(number_of(trial))
        self._counts[STATES[outcome_of(trial).state]] += 1

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Show the state, if what is shown has grown old."""
        now = time.monotonic()
        if now - self._shown < (_PLAIN_EVERY_S if self._live is None else _REFRESH_S):
            return
        self._shown = now
        if self._live is None:
            self._console.print(self.line(), highlight=False, soft_wrap=True)
        else:
            self._live.update(self._picture(), refresh=True)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Leave the terminal as it was, with one line that stays."""
        self.close()
        self._console.print(self.line(), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the live picture away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def line(self) -> str:
        """Return the state in one line."""
        parts = [f"{self._n_ended}/{self._total} trials: {self._states()}"]
        if self._best is not None:
            parts.append(f"best {self._metric} {self._best[0]:.4f}")
        parts.append(self._times())
        return "; ".join(parts)

    @property
    def _n_ended(self) -> int:
        return sum(self._counts.values())

    def _states(self) -> str:
        """Return the counts; before the first trial runs, what is waited for."""
        if self._waits:
            ended = [f"{count} {state}" for state, count in self._counts.items() if count]
            return ", ".join([*ended, "waiting for the first trial to start"])
        counts = self._counts | {"running": len(self._running)}
        return ", ".join(f"{count} {state}" for state, count in counts.items())

    def _times(self) -> str:
        """Return the time since the start, over all sittings too, and what is left."""
        now = time.monotonic()
        text = times_line(now - self._started, self._before_s)
        left_s = self._pace.left_s(self._total - self._n_ended, now)
        return text if left_s is None else f"{text}, about {roughly(left_s)} left"

    def _picture(self) -> Group:
        head = f"{self._n_ended}/{self._total} trials: {self._states()}; {self._times()}"
        self._bar.update(self._task, completed=self._n_ended, description=head)
        if self._best is None:
            return Group(self._bar)
        value, settings = self._best
        text = f"best {self._metric} {value:.4f}: {as_words(settings)}"
        return Group(self._bar, Text(text, no_wrap=True, overflow="ellipsis"))


class Count:
    """Show how much of some work is done, as `Progress` shows trials.

    Args:
        what: The work, in the plural.
        shown: Show it; otherwise plain lines are logged.
        console: Where to show it; None: stdout.
    """

    def __init__(self, what: str, *, shown: bool = True, console: Console | None = None) -> None:
        self._what = what
        self._console = (console or stdout()) if shown else None
        self._bar: Bar | None = None
        self._started = self._shown = time.monotonic()
        self._line = ""

    def __enter__(self) -> Self:
        if self._console is not None and self._console.is_terminal:
            self._bar = _bar(self._console)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        return self

    def __call__(self, done: int, total: int) -> None:
        """Take in how much is done, and show it if what is shown has grown old."""
        now = time.monotonic()
        self._line = f"{self._what}: {done} of {total} done; {duration(now - self._started)}"
        if self._bar is not None:
            self._bar.update(
                self._task, completed=done, total=total, description=self._line, refresh=True
            )
        elif now - self._shown >= _PLAIN_EVERY_S:
            self._shown = now
            self._say()

    def __exit__(self, kind: object, *error: object) -> None:
        """Leave the terminal as it was, with one line that stays where all went well."""
        if self._bar is not None:
            self._bar.stop()
        if kind is None:
            self._say()

    def _say(self) -> None:
        if self._console is None:
            logger.info(self._line)
        else:
            self._console.print(self._line, highlight=False, soft_wrap=True)


def _bar(console: Console) -> Bar:
    """Return a bar with words behind it, which goes away when it is stopped."""
    columns = BarColumn(bar_width=24), TextColumn("{task.description}", markup=False)
    return Bar(*columns, console=console, auto_refresh=False, transient=True)
