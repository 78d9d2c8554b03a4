"""Records of a study that MLflow has not got yet, sent without the study: `hbpr study sync`."""

from collections.abc import Mapping
from pathlib import Path

from hbpr.errors import StudyFolderError
from hbpr.tracking.store import default_tracking_uri, open_client
from tune.storage.names import EVENTS, OUTBOX
from tune.tracking.delivery import Delivery
from tune.tracking.outbox import Outbox
from tune.tracking.sender import Sender


def sync(
    study_folder: str | Path, *, tracking_uri: str | None = None, timeout_s: float = 600.0
) -> Mapping[str, int]:
    """Send what of a study has not reached MLflow.

    Args:
        study_folder: The study's folder, with its outbox.
        tracking_uri: Where to; default: where the study was recorded. User and password are never
            kept in the folder: give them here or in ``MLFLOW_TRACKING_USERNAME`` and ``_PASSWORD``.
        timeout_s: Longest wait.

    Returns:
        How many events were `sent`, and how many are `left`, those set aside included.

    Raises:
        StudyFolderError: There is no outbox.
        StudyError: Another process runs the study.
        TrackingError: MLflow does not answer.
    """
    folder = Path(study_folder) / OUTBOX
    if not (folder / EVENTS).is_file():
        raise StudyFolderError(
            f"{study_folder}: no records of a study are here ({OUTBOX}/{EVENTS}). Name a folder "
            "STORAGE/EXPERIMENT/STUDY; hbpr study list shows them"
        )
    outbox = Outbox(folder)
    try:
        before = outbox.waiting()
        outbox.put_back()
        first = next(iter(outbox.events()), None)
        if first is None or before == 0:
            return {"sent": 0, "left": before}
        about = first["study"]
        uri = tracking_uri or about["tracking_uri"] or default_tracking_uri()
        open_client(uri)
        delivery = Delivery(uri, about["experiment_name"], about["study_id"])
        sender = Sender(outbox, delivery, uri)
        sender.flush(timeout_s)
        sender.close()
        left = outbox.waiting()
        return {"sent": before - left, "left": left}
    finally:
        outbox.close()
