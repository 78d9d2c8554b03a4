"""A rule inside Ray Tune that hears of earlier sittings: every report of a study, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from hbpr.settings.load import dotted
from tune.schedulers.base import CLOCK, NUMBER, VALUES

if TYPE_CHECKING:
    from hbpr.tracking.records import TrialRecord

#: In place of the controller, which rules do not ask for anything.
NO_RAY: Final[Any] = None


class Rule(Protocol):
    """A Ray Tune scheduler that stops trials, pauses none and asks its controller for nothing."""

    def remember(self, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report of an earlier sitting; return what is decided on it."""

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial in."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Enter a report; return whether the trial goes on."""

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Note that a trial ended."""

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Note that a trial ended while it did not run."""


class EachReportOnce(FIFOScheduler):
    """Passes every report of every trial of the study to a rule, each once.

    The rule knows trials by their numbers in the study, which a trial keeps when a fault or a
    resumed study starts it again; Ray's ids change. A report that such a trial repeats, because its
    checkpoint is older than its last report, is not passed on again: the decision about it was
    taken. A trial that was to stop when its driver was killed stops when it comes there again.

    Args:
        rule: A scheduler that stops trials and pauses none.
        metric: Key of a result that it compares.
        before: Trials of earlier sittings; their reports are passed on at once.
    """

    def __init__(
        self,
        rule: "Rule",
        metric: str,
        before: "Sequence[TrialRecord]" = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rule = rule
        self._watched = metric
        self._last: dict[int, int] = {}
        self._decided: dict[int, str] = {}
        for trial in before:
            self._replay(trial)

    def _replay(self, trial: "TrialRecord") -> None:
        bare: Any = BareTrial(trial.number, _family(trial.values))
        self.on_trial_add(NO_RAY, bare)
        results: list[dict[str, Any]] = [
            {CLOCK: epoch, self._watched: value} for epoch, value in sorted(trial.reports.items())
        ]
        # Ray does not ask a scheduler about the result that ends a trial.
        for result in results[:-1] if trial.state == "COMPLETE" else results:
            self._last[trial.number] = result[CLOCK]
            self._decided[trial.number] = self.rule.remember(bare, result)
        if results and trial.state in {"COMPLETE", "PRUNED"}:
            self.on_trial_complete(NO_RAY, bare, results[-1])

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Introduce a trial, unless it was there before."""
        number = int(trial.config[NUMBER])
        if number not in self._last:
            self._last[number] = 0
            self.rule.on_trial_add(tune_controller, _bare(trial))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Ask the rule about a report that is new."""
        number = int(trial.config[NUMBER])
        if self._watched not in result or result[CLOCK] < self._last[number]:
            return TrialScheduler.CONTINUE
        decided = self._decided.get(number, TrialScheduler.CONTINUE)
        if result[CLOCK] == self._last[number] or decided == TrialScheduler.STOP:
            return decided
        self._last[number] = result[CLOCK]
        decided = self.rule.on_trial_result(tune_controller, _bare(trial), result)
        self._decided[number] = decided
        return decided

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Pass the end of a trial to the rule."""
        self.rule.on_trial_complete(tune_controller, _bare(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Pass the end of a trial that did not run to the rule."""
        self.rule.on_trial_remove(tune_controller, _bare(trial))


@dataclass(frozen=True)
class BareTrial:
    """What schedulers need of a trial that no Ray runs.

    Attributes:
        number: Its number in the study.
        family: Its kind of model, where that is searched.
    """

    number: int
    family: str | None = None

    @property
    def trial_id(self) -> str:
        """Its id, unlike any of Ray's."""
        return f"journal-{self.number}"

    @property
    def config(self) -> dict[str, int]:
        """Its config, as far as schedulers look at it."""
        return {NUMBER: self.number}


def _bare(trial: Any) -> Any:
    if isinstance(trial, BareTrial):
        return trial
    return BareTrial(int(trial.config[NUMBER]), _family(trial.config.get(VALUES, {})))


def _family(values: Mapping[str, Any]) -> str | None:
    kind = dotted(values).get("model.kind")
    return None if kind is None else str(kind)
