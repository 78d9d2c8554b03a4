"""What begins before it is needed: imports while Ray starts, and workers that import meanwhile.

Ray spends its start waiting for processes of its own, so that a thread has the time for what takes
seconds: torch, Tune, Optuna, MLflow and the tables of its empty database.
"""

import importlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cluster.connect.ray import Runtime
from hbpr.settings.models import TrialSettings
from hbpr.tracking.store import prepare

if TYPE_CHECKING:
    from tune.settings import ResourceSettings

_log = logging.getLogger(__name__)

#: What a study needs, the heaviest first.
_DRIVER: Final = ("tune.study.ray_run", "tune.study.conclude", "hbpr.training.warmup")
_WORKER: Final = ("tune.trial.trainable", "hbpr.training.fused", "hbpr.training.listwise")
#: Workers that are told to import ahead; the others do it with their first trial.
_MOST_WORKERS: Final = 32


@contextmanager
def imports(tracking_uri: str) -> Iterator[Callable[[], None]]:
    """In the body, import what a study needs in a thread; call the value to wait for it."""
    thread = threading.Thread(
        target=_import_all, args=(tracking_uri,), name="hbpr-imports", daemon=True
    )
    thread.start()
    try:
        yield thread.join
    finally:
        thread.join()  # no module is left half imported


def _import_all(tracking_uri: str) -> None:
    try:
        for name in _DRIVER:
            importlib.import_module(name)
        prepare(tracking_uri)
    except Exception:  # noqa: BLE001 - whoever needs it meets the error, where it can be told
        _log.debug("something could not be prepared", exc_info=True)


def warm_workers(ray_: Runtime, slots: int, resources: "ResourceSettings") -> None:
    """Let the idle workers of a private Ray import what trials need; nobody waits for them.

    Ray makes actors of workers that have run tasks, so that a trial finds its imports done.
    """
    if not ray_.private or resources.gpu:
        return
    import ray

    task = ray.remote(num_cpus=resources.cpu, max_retries=0)(_import_in_worker)
    for _ in range(min(slots, _MOST_WORKERS)):
        task.remote()


def _import_in_worker() -> None:
    for name in _WORKER:
        importlib.import_module(name)


def compiled(base: TrialSettings) -> bool:
    """Whether what a trial trains with was compiled on this machine before."""
    from hbpr.training.warmup import is_compiled

    return is_compiled(base)
