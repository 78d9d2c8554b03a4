"""What begins before it is needed: imports while Ray starts, in the driver and in the workers.

Ray spends its start waiting for processes of its own, so that a thread has the time for Tune and
Optuna, and workers for torch and the engines. What only the end needs comes while trials run.
"""

import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hbpr.settings.models import TrialSettings
from hbpr.tracking.store import import_client

if TYPE_CHECKING:
    from tune.settings import ResourceSettings

_log = logging.getLogger(__name__)

#: What a study needs to begin its search, and what only its end needs.
_BEGINNING: Final = ("tune.study.ray_run",)
_END: Final = ("tune.study.conclude",)
#: Seconds after which trials that have not reported may be compiling.
_QUIET_S: Final = 4.0
#: Where there are more, each imports with its first trial: memory.
_MOST_WORKERS: Final = 32


@contextmanager
def imports(*, joins: bool = False) -> Iterator[Callable[[], object]]:
    """In the body, import what a study needs in a thread; call the value to wait for its search.

    What only the end needs comes after that, and nobody waits for it but the end. A study that is
    refused meanwhile does not wait for it.

    Args:
        joins: Whether a cluster is joined: then what only the end needs, seconds of work, begins
            when the value is called, with the checks of the nodes behind it.
    """
    ready, go_on, refused = threading.Event(), threading.Event(), threading.Event()

    def import_all() -> None:
        try:
            _import(_BEGINNING)
        finally:
            ready.set()
        go_on.wait()
        if not refused.is_set():
            _import(_END)
            import_client()

    def wait() -> None:
        go_on.set()
        ready.wait()

    if not joins:
        go_on.set()
    thread = threading.Thread(target=import_all, name="hbpr-imports", daemon=True)
    thread.start()
    try:
        yield wait
    except BaseException:
        refused.set()
        raise
    finally:
        go_on.set()
        thread.join()  # no module is left half imported


def _import(names: Sequence[str]) -> None:
    try:
        for name in names:
            importlib.import_module(name)
    except Exception:  # noqa: BLE001 - whoever needs it meets the error, where it can be told
        _log.debug("something could not be imported", exc_info=True)


def worker_modules(resources: "ResourceSettings", cpus: int | None) -> tuple[str, ...]:
    """Return what workers of a private Ray import before they have a trial; empty: nothing.

    Ray starts a worker for each CPU at once, so where a trial takes more than one CPU some would
    import in vain.

    Args:
        resources: Those of a trial.
        cpus: CPUs of the private Ray; None: all of the machine.
    """
    n_workers = cpus or os.cpu_count() or 1
    fits = resources.cpu == 1 and not resources.gpu and n_workers <= _MOST_WORKERS
    return ("tune.trial.ahead",) if fits else ()


@contextmanager
def compiling_told(
    base: TrialSettings, announce: Callable[[str], None], begun: Callable[[], bool]
) -> Iterator[None]:
    """In the body, say that trials compile first, where they do and have not reported for a while.

    Args:
        base: What trials train with.
        announce: Called with the line.
        begun: Whether a trial has reported.
    """

    def look() -> None:
        from hbpr.training.warmup import is_compiled  # with torch, so not before it may matter

        if not begun() and not is_compiled(base) and not begun():
            announce(
                "compiling once for this machine, half a minute at most; hbpr warmup does it ahead"
            )

    timer = threading.Timer(_QUIET_S, look)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
