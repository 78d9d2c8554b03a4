"""Checks before a study runs on a cluster: seconds, and plain words, instead of failed trials.

`cluster.connect.probe.probe` runs before ``ray.init``; `check_cluster` runs after it and asks
every node.
"""

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hbpr.errors import ClusterError

logger = logging.getLogger(__name__)


def check_cluster(
    *, cpu: float, gpu: float, storage: Path, timeout_s: float = 30.0
) -> list[dict[str, Any]]:
    """Check that the connected cluster can run a study; `ray.init` has been called.

    Each node gets one tiny task: it imports the packages that trials need, reads a file that this
    process wrote into the study storage, and writes one beside it.

    Args:
        cpu: CPUs of one trial.
        gpu: GPUs of one trial.
        storage: Absolute folder of the studies; it is created here if it is missing.
        timeout_s: Seconds that the nodes have to answer, all together.

    Returns:
        The living nodes, as `ray.nodes` describes them.

    Raises:
        ClusterError: No node fits one trial, hbpr is missing on a node, or the storage cannot be
            written here or is not the same folder on every node.
    """
    import ray

    if "runtime_resources" in storage.parts:
        logger.warning(
            "sweep.storage %s lies in this job's own copy of the checkout, which Ray deletes some "
            "time after the job. To keep the study and its records: --set sweep.storage=/SHARED/"
            "studies --set mlflow.tracking_uri=sqlite:////SHARED/mlflow.db",
            storage,
        )
    nodes = [node for node in ray.nodes() if node["Alive"]]
    _check_resources(nodes, {"CPU": cpu, "GPU": gpu})
    with _marker(storage) as marker:
        problems = _ask_nodes(nodes, marker, timeout_s)
    if problems:
        raise ClusterError("\n  ".join([f"{len(problems)} of {len(nodes)} nodes:", *problems]))
    logger.info("cluster of %d nodes: versions, storage and resources fit", len(nodes))
    return nodes


def _check_resources(nodes: list[dict[str, Any]], trial: Mapping[str, float]) -> None:
    """One node must hold a whole trial, unless an autoscaler may bring such a node."""
    wanted = {name: amount for name, amount in trial.items() if amount > 0}
    if any(
        all(node["Resources"].get(name, 0.0) >= amount for name, amount in wanted.items())
        for node in nodes
    ):
        return
    import ray._private.state

    coming = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    if wanted and all(coming.get(name, 0) >= amount for name, amount in wanted.items()):
        logger.info("no node fits a trial yet; the autoscaler may start one")
        return
    have = "; ".join(
        f"{node['NodeManagerHostname']}: "
        + ", ".join(f"{name} {node['Resources'].get(name, 0.0):g}" for name in trial)
        for node in nodes
    )
    need = ", ".join(f"{name} {amount:g}" for name, amount in wanted.items())
    raise ClusterError(
        f"sweep.resources: one trial needs {need} on one node, the cluster has {have or 'no node'}."
        " Lower sweep.resources, or add a node."
    )


class _Marker(NamedTuple):
    """A file that every node must read, in a folder that every node must write."""

    path: Path
    content: str


@contextmanager
def _marker(storage: Path) -> Iterator[_Marker]:
    marker = _Marker(storage / f".preflight-{uuid.uuid4().hex}", uuid.uuid4().hex)
    try:
        storage.mkdir(parents=True, exist_ok=True)
        marker.path.write_text(marker.content)
    except OSError as error:
        raise ClusterError(
            f"sweep.storage {storage}: this process cannot write there: {error.strerror or error}. "
            "Name a folder that every node can write."
        ) from error
    try:
        yield marker
    finally:
        for path in storage.glob(f"{marker.path.name}*"):
            path.unlink(missing_ok=True)


def _ask_nodes(nodes: list[dict[str, Any]], marker: _Marker, timeout_s: float) -> list[str]:
    """Run the question on each node; return one line for each node with a problem."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def look(path: str, content: str, own: str) -> str:
        # Defined here, so that it travels by value to a node where hbpr may be missing.
        import importlib.util

        missing = [name for name in ("hbpr", "tune") if importlib.util.find_spec(name) is None]
        if missing:
            return f"cannot import {' and '.join(missing)}"
        try:
            with open(path) as file:
                if file.read() != content:
                    return f"reads another {path}"
            with open(own, "w") as file:
                file.write(content)
        except OSError as error:
            return f"{error.strerror or error}: {error.filename}"
        return ""

    task = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = {}
    for node in nodes:
        strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        own = f"{marker.path}-{node['NodeID'][:8]}"
        reference = task.options(scheduling_strategy=strategy).remote(
            str(marker.path), marker.content, own
        )
        asked[reference] = (node, own)
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=timeout_s)
    problems = []
    for reference, (node, own) in asked.items():
        host = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        if reference not in answered:
            ray.cancel(reference, force=True)
            problems.append(f"{host}: no answer in {timeout_s:g} s. See: ray status")
            continue
        problem = _answer_of(reference, own)
        if problem:
            problems.append(f"{host}: {problem}. {_next_step(problem)}")
    return problems


def _answer_of(reference: Any, own: str) -> str:
    """Return what is wrong on a node, or with the file that it wrote; empty where nothing is."""
    import ray
    from ray.exceptions import RayError

    try:
        problem = str(ray.get(reference))
    except RayError as error:
        return f"the check failed: {str(error).strip().splitlines()[-1]}"
    if not problem and not Path(own).is_file():
        return f"what it writes to {own} does not appear here"
    return problem


def _next_step(problem: str) -> str:
    if problem.startswith("cannot import"):
        return "Install hbpr there, or start with ray job submit --working-dir ."
    return "sweep.storage must be one folder that every node shares, such as an NFS mount."
