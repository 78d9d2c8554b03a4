"""What is seen from the head: which nodes live, and what they have."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final


class Watch:
    """What was seen of the nodes, a few times a second.

    Args:
        path: Where it is written down.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def seen(self) -> list[tuple[float, dict[str, dict[str, Any]]]]:
        """Return the moments, and of each the living nodes by address."""
        lines = self._path.read_text().splitlines(keepends=True)
        whole = (line for line in lines if line.startswith("[") and line.endswith("\n"))
        return [tuple(json.loads(line)) for line in whole]  # beside them Ray says what it lost

    def first(
        self,
        after: float,
        found: Callable[[dict[str, dict[str, Any]]], Any],
        *,
        timeout_s: float = 120.0,
        during: subprocess.Popen[str] | None = None,
    ) -> float:
        """Wait until something is so while a program runs; return how long after a moment."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            for at, nodes in self.seen():
                if at >= after and found(nodes):
                    return at - after
            if during is not None and during.poll() is not None:
                raise AssertionError(f"it has ended: {during.communicate()[0]}")
            time.sleep(0.3)
        raise AssertionError(f"not seen in {timeout_s:g} s; last: {self.seen()[-1:]}")


#: Prints, a few times a second, the living nodes: their free CPUs, and the trials' actors on them.
WATCH: Final = """
import json, sys, time, ray
from collections import Counter
from ray._private.state import actors, available_resources_per_node
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
while True:
    now, free = time.time(), available_resources_per_node()
    trials = Counter(
        each["Address"]["NodeID"] for each in actors().values() if each["State"] == "ALIVE"
        and not each["ActorClassName"].startswith(("Job", "CheckpointKeeper"))
    )
    nodes = {
        node["NodeManagerAddress"]: {
            "id": node["NodeID"],
            "free": free.get(node["NodeID"], node["Resources"]).get("CPU", 0.0),
            "trials": trials[node["NodeID"]],
        }
        for node in ray.nodes() if node["Alive"]
    }
    print("\\n" + json.dumps([now, nodes]), flush=True)
    time.sleep(0.25)
"""
