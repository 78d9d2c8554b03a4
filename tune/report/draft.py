"""The plots of a study's page, drawn while its answer is worked out."""

import logging
import threading

from dashboards.study_page import Drawn, draw_search
from hbpr.tracking.records import StudyRecord

_log = logging.getLogger(__name__)


class Draft:
    """Draws what a page shows of a search in a thread of its own.

    Args:
        record: A study whose trials have ended, with or without its answer.
    """

    def __init__(self, record: StudyRecord) -> None:
        self._record = record
        self._drawn: Drawn = {}
        self._thread = threading.Thread(target=self._draw, name="hbpr-page", daemon=True)
        self._thread.start()

    def _draw(self) -> None:
        try:
            self._drawn = draw_search(self._record)
        except Exception:  # noqa: BLE001 - the page draws it again, and its error is told
            _log.debug("the plots of the page could not be drawn ahead", exc_info=True)

    def drawn(self) -> Drawn:
        """Wait for the plots and return them; what could not be drawn is missing."""
        self._thread.join()
        return self._drawn
