"""How studies stand in MLflow: what a trial's state is called there, and how runs are found again.

Every run of a study has the tags ``hbpr.study_id`` and ``hbpr.kind``: ``study``, ``trial`` or
``repeat``. That of a trial has ``hbpr.trial`` with its number. A repeat is a finalist run with
another seed, and no trial: it has ``hbpr.repeat_of`` with the trial's number and ``hbpr.seed``.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from hbpr.tracking import tags as tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Status = Literal["FINISHED", "KILLED", "FAILED"]
#: The status of a trial's run, by the trial's state in the journal.
STATUS_OF: Final[dict[str, Status]] = {
    "COMPLETE": "FINISHED",
    "PRUNED": "KILLED",
    "FAIL": "FAILED",
}


#: What the table of MLflow's pages says beside that status, where KILLED looks like a failure.
STATE_OF: Final = {
    "RUNNING": "running",
    "FINISHED": "finished",
    "KILLED": "stopped",
    "FAILED": "failed",
}


class RunKey(NamedTuple):
    """Which of a study's runs one is.

    Attributes:
        kind: ``study``, ``trial`` or ``repeat``.
        trial: Number of the trial, or of the one that is repeated; -1 for the study.
        seed: Seed of a repeat; -1 for all others.
    """

    kind: Literal["study", "trial", "repeat"]
    trial: int = -1
    seed: int = -1

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.kind == "study":
            return "the study"
        seed = f", repeated with seed {self.seed}" if self.kind == "repeat" else ""
        return f"trial {self.trial}{seed}"

    @property
    def tags(self) -> dict[str, str]:
        """The tags by which its run is found again.

        Example:
            >>> RunKey("repeat", 7, 43).tags
            {'hbpr.kind': 'repeat', 'hbpr.repeat_of': '7', 'hbpr.seed': '43'}
        """
        if self.kind == "repeat":
            own = {tag.REPEAT_OF: str(self.trial), tag.SEED: str(self.seed)}
        else:
            own = {tag.TRIAL: str(self.trial)} if self.kind == "trial" else {}
        return {tag.KIND: self.kind} | own


#: The study's own run.
STUDY: Final = RunKey("study")


def key_of_event(event: Mapping[str, Any]) -> RunKey:
    """Return the run that an event is about."""
    if "repeat_of" in event:
        return RunKey("repeat", event["repeat_of"], event["seed"])
    return RunKey("trial", event["trial"]) if "trial" in event else STUDY


def key_of_run(tags: Mapping[str, str]) -> RunKey:
    """Return which run of its study one is, by its tags."""
    if tag.REPEAT_OF in tags:
        return RunKey("repeat", int(tags[tag.REPEAT_OF]), int(tags[tag.SEED]))
    return RunKey("trial", int(tags[tag.TRIAL])) if tag.TRIAL in tags else STUDY


def find_runs(client: "MlflowClient", experiment_id: str, query: str = "") -> Iterator["Run"]:
    """Yield the runs of an experiment that MLflow finds for a query, the newest first."""
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            query,
            max_results=1000,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return
