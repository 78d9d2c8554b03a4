"""How many trials run at a time, counted anew while nodes come and go."""

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, Final

from ray import tune as ray_tune
from ray.tune.search import ConcurrencyLimiter

from cluster.connect.capacity import Capacity

logger = logging.getLogger(__name__)

#: Seconds between two counts; a node that joins is given trials after at most this long.
COUNT_EVERY_S: Final = 2.0


class Room(ray_tune.Callback):
    """Follows the cluster: a node that joins is given trials, one that goes is counted out.

    Where an autoscaler may bring nodes, trials wait for them: waiting trials are what it goes by.
    How many, the settings say, or the cluster where it tells what it may bring.

    Args:
        count: Counts the places for trials in the cluster; None: they stay as they are.
        at_first: Trials at a time before anything was counted.
        most: Trials that run or wait, whatever the cluster has; None: as many as it holds.
        unfit: Returns the ids of nodes that are to get no trials.
    """

    def __init__(
        self,
        count: Callable[[], Capacity] | None,
        *,
        at_first: int = 1,
        most: int | None = None,
        unfit: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self.unfit = unfit
        self._count = count
        self._most = most
        self._limiter: ConcurrencyLimiter | None = None
        self._now = self._wanted = max(at_first, 1)
        self._counted_at = float("-inf")
        self.look()

    def limit(self, limiter: ConcurrencyLimiter) -> ConcurrencyLimiter:
        """Let a limiter follow, and return it."""
        self._limiter = limiter
        limiter.max_concurrent = self._wanted
        return limiter

    def wanted(self) -> int:
        """Return how many trials should run or wait for a node."""
        return self._wanted

    def now(self) -> int:
        """Return how many trials can run at this moment, at least one."""
        return self._now

    def look(self) -> None:
        """Count the places now."""
        if self._count is None:
            return
        self._counted_at = time.monotonic()
        capacity = self._count()
        wanted = max(self._most or capacity.most, 1)
        now = max(min(capacity.now, wanted), 1)
        if now != self._now:
            logger.info("%d trials at a time, %d before", now, self._now)
        self._now, self._wanted = now, wanted
        if self._limiter is not None:
            self._limiter.max_concurrent = wanted

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Count the places anew, once in a while."""
        if time.monotonic() - self._counted_at < COUNT_EVERY_S:
            return
        import ray

        try:
            self.look()
        except (ray.exceptions.RayError, RuntimeError, OSError) as error:
            logger.warning("the places of the cluster cannot be counted now: %s", error)
