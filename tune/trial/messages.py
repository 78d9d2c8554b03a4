"""The words of a trial's results, and why one failed."""

from pathlib import Path
from typing import Any

#: Key of a result of a trial that ended on an error of its own, such as a diverged loss.
FAILED = "failed"


def error_of(trial: Any) -> str:
    """Return the last line of the traceback of a trial that crashed.

    Args:
        trial: Ray's. Its ``get_error`` looks where Tune copies the file later.
    """
    try:
        text = Path(trial.error_file).read_text()
    except (OSError, TypeError):  # there is none, or not even a name for it
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "the trial's process ended without a message"
