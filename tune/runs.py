"""How studies stand in MLflow: what a trial's state is called there, and how runs are found again.

Every run of a study has the tags ``hbpr.study_id`` and ``hbpr.kind`` (``study`` or ``trial``), that
of a trial ``hbpr.trial`` with its number.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

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
