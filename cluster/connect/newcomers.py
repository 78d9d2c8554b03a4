"""Nodes that join while a study runs: each is checked before it is given trials."""

import logging
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster.connect.preflight import ask_node, hear, host_of, our_versions
from cluster.connect.shared import marker_in
from hbpr.errors import ClusterError

logger = logging.getLogger(__name__)

#: Seconds after which a node that has not answered is mentioned, once.
SLOW_S: Final = 30.0


@dataclass
class _Asked:
    """A node that has not answered yet."""

    node: dict[str, Any]
    reference: Any
    own: str
    files: ExitStack
    since: float
    mentioned: bool = False


class Newcomers:
    """Asks every node that joins what the first ones were asked, without waiting for it.

    A node that restarts is a new one to Ray, so it is asked again.

    Args:
        checked: Ids of the nodes that have passed.
        storage: Folder or URL of the studies; None: nothing is shared.
    """

    def __init__(self, checked: Iterable[str], storage: str | Path | None) -> None:
        self._fit = set(checked)
        self._storage = storage
        self._asked: dict[str, _Asked] = {}
        self._unfit: set[str] = set()

    def unfit(self) -> frozenset[str]:
        """Return the ids of nodes that have failed."""
        return frozenset(self._unfit)

    def look(self) -> frozenset[str]:
        """Ask nodes that are new, and hear those that have answered.

        Returns:
            The ids of living nodes that are not to be given trials, at least not yet.
        """
        import ray

        living = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        for gone in self._asked.keys() - living.keys():
            self._asked.pop(gone).files.close()
        self._unfit &= living.keys()
        for node_id in living.keys() - self._fit - self._unfit - self._asked.keys():
            self._ask(living[node_id])
        for node_id in list(self._asked):
            self._hear(node_id)
        return frozenset(living.keys() - self._fit)

    def close(self) -> None:
        """Remove what was written for nodes that have not answered."""
        for asked in self._asked.values():
            asked.files.close()
        self._asked.clear()

    def _ask(self, node: dict[str, Any]) -> None:
        files = ExitStack()
        try:
            marker = files.enter_context(marker_in(self._storage))
        except ClusterError as error:  # the next look asks
            logger.warning("%s has joined and cannot be checked now: %s", host_of(node), error)
            return
        reference, own = ask_node(node, marker)
        self._asked[node["NodeID"]] = _Asked(node, reference, own, files, time.monotonic())

    def _hear(self, node_id: str) -> None:
        import ray

        asked = self._asked[node_id]
        if not ray.wait([asked.reference], timeout=0)[0]:
            if not asked.mentioned and time.monotonic() - asked.since > SLOW_S:
                asked.mentioned = True
                logger.warning(
                    "%s has joined and gets no trials before it answers; no answer in %g s",
                    host_of(asked.node),
                    SLOW_S,
                )
            return
        del self._asked[node_id]
        with asked.files:
            answer = hear(asked.node, asked.reference, asked.own)
        problem = answer.problem_beside(our_versions())
        if problem:
            self._unfit.add(node_id)
            logger.warning("%s has joined and gets no trials: %s", answer.host, problem)
        else:
            self._fit.add(node_id)
            logger.info("%s has joined", answer.host)
