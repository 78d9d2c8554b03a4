"""Records that MLflow's client cannot send, kept beside the outbox until somebody sends them again.

Such a record fails alone, in a way that is neither an outage nor a refusal: a mistake of the
client, of a proxy, or of ours. It holds nothing else up and is never lost.
"""

import logging
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

from hbpr.files import JsonLines, json_line, read_json_lines
from tune.storage.names import SET_ASIDE
from tune.tracking.runs import key_of_event

logger = logging.getLogger(__name__)


class DeadLetters:
    """A file beside those of an outbox, one record a line, as the journal has it.

    Args:
        folder: The outbox folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / SET_ASIDE

    def __len__(self) -> int:
        """Number of records set aside."""
        return len(self.events())

    def add(self, event: dict[str, Any], error: Exception) -> None:
        """Set a record aside, and say so; it stays in the study's journal of records as well."""
        logger.error(
            "a record (%s) cannot be sent to MLflow: %s: %s. It is set aside in %s and all others "
            "are sent. Send it again with: hbpr study sync %s",
            describe(event),
            type(error).__name__,
            error,
            self.path,
            shlex.quote(str(self.path.parents[1])),
            exc_info=error,
        )
        try:
            with closing(JsonLines(self.path)) as lines:
                lines.append(json_line(event, default=str))
        except OSError as problem:
            logger.error("%s cannot be written: %s", self.path, problem)

    def events(self) -> list[dict[str, Any]]:
        """Return what was set aside, oldest first, each record once."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return list(read_json_lines(dict.fromkeys(lines), self.path))

    def clear(self) -> None:
        """Forget all: they are back in the outbox."""
        self.path.unlink(missing_ok=True)


def describe(event: dict[str, Any]) -> str:
    """Name a record in words.

    Example:
        >>> describe({"event": "result", "trial": 3, "step": 10})
        'result of trial 3 at epoch 10'
        >>> describe({"event": "final"})
        'final of the study'
    """
    step = event.get("step")
    where = "" if step is None else f" at epoch {step}"
    return f"{event.get('event')} of {key_of_event(event).name}{where}"
