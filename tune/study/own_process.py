"""Processes that start for a trial are left to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


@contextmanager
def starting_processes_kept() -> Iterator[None]:
    """In the body, keep Tune from ending a process that is starting, as long as trials need it.

    Tune gives a process that has become free to the trial that waits first, also where that one's
    own process has its place and is starting. It ends that process, and the next trial starts one
    anew. Where trials end more often, over all nodes, than a process takes to start, a node that
    joins would be left without a trial. Here the free process goes to a trial that has none.
    """
    reuse = TuneController._maybe_reuse_cached_actor

    def reuse_unless_starting(self: TuneController, trial: Trial) -> bool:
        return False if _another_needs_it(self, trial) else bool(reuse(self, trial))

    TuneController._maybe_reuse_cached_actor = reuse_unless_starting
    try:
        yield
    finally:
        TuneController._maybe_reuse_cached_actor = reuse


def _another_needs_it(controller: Any, trial: Trial) -> bool:
    """Whether a trial's own process is starting while another trial waits without any."""
    own = controller._trial_to_actor.get(trial)
    starts = own is not None and trial not in controller._resetting_trials
    if not starts or not controller._actor_manager.is_actor_started(own):
        return False
    return any(other not in controller._trial_to_actor for other in controller._pending_trials)
