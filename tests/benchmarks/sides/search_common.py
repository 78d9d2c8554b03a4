"""What every side of ``search_speed`` tells. It runs in each peer's environment.

A side is a program ``search_NAME.py search JSON``. Its request holds ``data`` (see ``shapes.py``),
``settings`` (``d``, ``epochs``, ``eval_every``, ``batch_size``), ``trials``, ``cpus`` and ``seed``.
It answers with the seconds since 1970 at which it was started, its first trial began and each trial
ended, and at which the search returned.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from common import answer

#: When this process was started, as near as it can see.
STARTED = time.time()
#: Validation metrics of the peers, for lists of 10 and 20.
TOP_K = [10, 20]


def main(search: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run a search and answer.

    Args:
        search: Runs the request; returns ``ends``, and whatever else it knows.
    """
    request = json.loads(sys.argv[2])
    told = search(request)
    answer(started=STARTED, returned=time.time(), **told)
