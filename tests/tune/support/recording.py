"""A study that is recorded without Ray."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbpr.tracking.store import open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from tune.tracking.recorder import MlflowRecorder


@dataclass
class ToldTrial:
    """What the recorder reads of a Ray trial."""

    number: int
    status: str = "RUNNING"
    last_result: dict[str, Any] = field(default_factory=dict)
    error_file: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        values = {"optimizer.lr": 0.1 / (self.number + 1), "model.hidden": [8, 4]}
        return {"trial": self.number, "values": values}


class Recording:
    """A study without Ray: recorders of it are told of its trials, and its runs are read back."""

    MONITOR = "val/ndcg_at_10"

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder / "study", uri

    @property
    def client(self) -> "MlflowClient":
        return open_client(self.uri)

    def recorder(self, uri: str | None = None) -> "MlflowRecorder":
        """A recorder of the study, as each sitting makes one."""
        from tune.tracking.recorder import MlflowRecorder

        uri = uri or self.uri
        settings = {
            "mlflow": {"tracking_uri": uri},
            "sweep": {"space": {"optimizer.lr": [0.1], "model.hidden": [[8, 4]]}},
        }
        return MlflowRecorder(
            self.folder,
            tracking_uri=uri,
            experiment_name="films",
            study_id="s1",
            settings=settings,
        )

    def trial(self, number: int, **about: Any) -> ToldTrial:
        """A trial as Ray tells of it."""
        return ToldTrial(number, **about)

    def report(
        self, recorder: "MlflowRecorder", trial: ToldTrial, epoch: int, value: float, **more: Any
    ) -> None:
        """Tell of one evaluation."""
        trial.last_result = {
            "epoch": epoch,
            "train/loss": 1.0 / epoch,
            "time/train_s": 0.1,
            self.MONITOR: value,
            "pid": 17,
            "hostname": "node-1",
            "config/optimizer.lr": 0.1,
            "finished": False,
        } | more
        from tune.tracking.callback import RecordTrials

        RecordTrials(recorder).on_trial_result(0, [], trial, trial.last_result)

    def play(
        self, recorder: "MlflowRecorder", number: int, values: list[float], *, finished: bool
    ) -> None:
        """Start a trial, report every fifth epoch, and complete it."""
        from tune.tracking.callback import RecordTrials

        trial = self.trial(number)
        RecordTrials(recorder).on_trial_start(0, [], trial)
        for i, value in enumerate(values, 1):
            self.report(recorder, trial, 5 * i, value, finished=finished and i == len(values))
        RecordTrials(recorder).on_trial_complete(0, [], trial)

    def runs(self) -> "dict[str, Run]":
        """The study's runs by name."""
        experiment = self.client.get_experiment_by_name("films")
        assert experiment is not None
        runs = self.client.search_runs(
            [experiment.experiment_id], "tags.`hbpr.study_id` = 's1'", max_results=5000
        )
        names = [run.info.run_name for run in runs]
        assert len(set(names)) == len(names), "a run twice"
        return dict(zip(names, runs, strict=True))

    def steps(self, run: "Run", metric: str = MONITOR) -> list[int]:
        """The epochs at which a run has a metric."""
        return [point.step for point in self.client.get_metric_history(run.info.run_id, metric)]
