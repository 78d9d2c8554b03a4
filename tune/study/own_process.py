"""Which processes take trials: those that start keep theirs, those on drained nodes take none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.state import actors
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from cluster.connect.capacity import leaving_nodes


@contextmanager
def starting_processes_kept() -> Iterator[None]:
    """In the body, keep Tune from ending a process that is starting, as long as trials need it.

    Tune gives a process that has become free to the trial that waits first, also where that one's
    own process has its place and is starting. It ends that process, and the next trial starts one
    anew. Where trials end more often, over all nodes, than a process takes to start, a node that
    joins would be left without a trial. Here the free process goes to a trial that has none.

    A process on a node that is drained takes no further trial, so that the node can go.
    """
    tune: Any = TuneController
    reuse, keep = tune._maybe_reuse_cached_actor, tune._maybe_cache_trial_actor

    def reuse_unless_starting(self: TuneController, trial: Trial) -> bool:
        return False if _another_needs_it(self, trial) else bool(reuse(self, trial))

    def keep_unless_leaving(self: TuneController, trial: Trial) -> bool:
        return False if _leaves(trial) else bool(keep(self, trial))

    tune._maybe_reuse_cached_actor = reuse_unless_starting
    tune._maybe_cache_trial_actor = keep_unless_leaving
    try:
        yield
    finally:
        tune._maybe_reuse_cached_actor = reuse
        tune._maybe_cache_trial_actor = keep


def _another_needs_it(controller: Any, trial: Trial) -> bool:
    """Whether a trial's own process is starting while another trial waits without any."""
    own = controller._trial_to_actor.get(trial)
    starts = own is not None and trial not in controller._resetting_trials
    if not starts or not controller._actor_manager.is_actor_started(own):
        return False
    return any(other not in controller._trial_to_actor for other in controller._pending_trials)


def _leaves(trial: Trial) -> bool:
    """Whether the process of a trial is on a node that is drained."""
    process, leaving = trial.temporary_state.ray_actor, leaving_nodes()
    if not leaving or process is None:
        return False
    return actors(process._actor_id.hex())["Address"]["NodeID"] in leaving
