"""What a study hands back."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbpr.inference.system import RecommendationSystem
from hbpr.tracking.records import TrialRecord
from hbpr.tracking.registry import Registered
from hbpr.tracking.store import mask_uri
from tune.answer.early_order import RankCorrelation
from tune.answer.finalists import Comparison, Finalist
from tune.answer.lineage import Stage
from tune.settings.goals import Goals


@dataclass(frozen=True)
class StudyResult:
    """A study that came to its result.

    Attributes:
        study_id: Name of the study.
        folder: Its folder, absolute.
        experiment: MLflow experiment.
        tracking_uri: Where the records are.
        run_id: MLflow run of the study; None while the tracking server is away.
        view: What follows the address of MLflow's pages to see all trials; None likewise.
        metric: What trials are compared by.
        trials: All trials, by number.
        best: The winner: the highest mean of the finalists, or where none were repeated the highest
            value among the trials that ran to their end.
        validation_metrics: The winner's, at its best epoch; means over the seeds of a finalist.
        test_metrics: The refitted winner's; empty where the data have no test part.
        baseline_metrics: Popularity's, validation and test.
        system: The refitted winner.
        model_folder: Where `system` is saved.
        wall_s: Seconds of this sitting, from the call to the result.
        search_s: Seconds in which trials ran.
        busy_cpu_s: CPU seconds that trials spent on training and evaluation.
        cpus: CPUs that trials could use.
        ease_metrics: EASE's, a linear model in closed form; empty where there are too many items.
        epochs: Epochs of the winner's last training.
        finalists: Trials that were repeated with other seeds, best mean first.
        comparisons: The winner against the runner-up, popularity and EASE, user by user.
        importance: By objective: share of each searched setting in what tells good trials from all.
        early: How far the order of the trials where the scheduler decides is their final order.
        ended: The budget that ended the search; None where all trials ran.
        registered: The version of the registered model; None where there is none, or not yet.
        stages: Settings that the winner's weights went through, its own last; the refit went
            through them too. Only a copy of a population has several.
        notes: What went wrong on the way and was made good.
        goals: All that trials are compared by; None: `metric` alone.
        front: Trials of the Pareto front, best by the first objective first; empty where there is
            one objective.
    """

    study_id: str
    folder: Path
    experiment: str
    tracking_uri: str
    run_id: str | None
    view: str | None
    metric: str
    trials: Sequence[TrialRecord]
    best: TrialRecord
    validation_metrics: dict[str, float]
    test_metrics: dict[str, float]
    baseline_metrics: dict[str, float]
    system: RecommendationSystem
    model_folder: Path
    wall_s: float
    search_s: float
    busy_cpu_s: float
    cpus: float
    ease_metrics: dict[str, float] = field(default_factory=dict)
    epochs: int = 0
    finalists: Sequence[Finalist] = ()
    comparisons: Sequence[Comparison] = ()
    importance: dict[str, dict[str, float]] = field(default_factory=dict)
    early: Sequence[RankCorrelation] = ()
    ended: str | None = None
    registered: Registered | None = None
    stages: Sequence[Stage] = ()
    notes: Sequence[str] = ()
    goals: Goals | None = None
    front: Sequence[TrialRecord] = ()

    @property
    def states(self) -> dict[str, int]:
        """Number of trials by state."""
        return dict(Counter(trial.state for trial in self.trials))

    @property
    def n_outside(self) -> int:
        """Number of trials that ran to their end and are outside of a limit."""
        ended = [trial for trial in self.trials if trial.state == "COMPLETE"]
        return sum(not self.goals.feasible(t.at_best) for t in ended) if self.goals else 0

    @property
    def busy_share(self) -> float:
        """Share of the CPUs' time, while trials ran, that went into training and evaluation."""
        return self.busy_cpu_s / max(self.search_s * self.cpus, 1e-9)

    def as_json(self) -> dict[str, Any]:
        """Return all but the recommender itself, as plain values."""
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("system", "trials", "best")
        }
        return plain | {
            "folder": str(self.folder),
            "model_folder": str(self.model_folder),
            "tracking_uri": mask_uri(self.tracking_uri),
            "best": self.best.as_json(),
            "finalists": [dataclasses.asdict(finalist) for finalist in self.finalists],
            "comparisons": [dataclasses.asdict(comparison) for comparison in self.comparisons],
            "goals": _plain(self.goals) if self.goals else None,
            "front": [trial.as_json() for trial in self.front],
            "early": [dataclasses.asdict(each) for each in self.early],
            "stages": [dataclasses.asdict(stage) for stage in self.stages],
            "registered": self.registered._asdict() if self.registered else None,
            "states": self.states,
        }


def _plain(goals: Goals) -> dict[str, Any]:
    return {
        "objectives": [objective._asdict() for objective in goals.objectives],
        "limits": [limit._asdict() for limit in goals.limits],
    }
