"""Checks before a study runs on a cluster: seconds, and plain words, instead of failed trials.

`cluster.connect.probe.probe` runs before ``ray.init``; `check_cluster` runs after it and asks
every node.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster.connect.shared import Marker, appears, marker_in, next_step
from hbpr.errors import ClusterError

logger = logging.getLogger(__name__)


def check_cluster(
    *,
    cpu: float,
    gpu: float,
    storage: str | Path | None,
    may_come: bool = False,
    timeout_s: float = 30.0,
) -> list[dict[str, Any]]:
    """Check that the connected cluster can run a study; `ray.init` has been called.

    Each node gets one tiny task: it tells its versions, reads a file that this process wrote into
    the study storage, and writes one beside it. What they answer is one table.

    Args:
        cpu: CPUs of one trial.
        gpu: GPUs of one trial.
        storage: Folder or URL of the studies; a folder is created here if it is missing. None:
            nothing is shared.
        may_come: Where no node has a CPU, a trial may wait for one that an autoscaler brings.
        timeout_s: Seconds without an answer after which the nodes that are left have none.

    Returns:
        The living nodes, as `ray.nodes` describes them.

    Raises:
        ClusterError: No node fits one trial, hbpr is missing on a node or of another version, as
            may be Python, Ray and torch, or the storage cannot be written here or is not the same
            folder on every node.
    """
    import ray

    if "runtime_resources" in str(storage).split("/"):
        logger.warning(
            "sweep.storage %s lies in this job's own copy of the checkout, which Ray deletes some "
            "time after the job. To keep the study and its records: --set sweep.storage=/SHARED/"
            "studies --set mlflow.tracking_uri=sqlite:////SHARED/mlflow.db",
            storage,
        )
    nodes = [node for node in ray.nodes() if node["Alive"]]
    _check_resources(nodes, {"CPU": cpu, "GPU": gpu}, may_come=may_come)
    with marker_in(storage) as marker:
        answers = _ask_nodes(nodes, marker, timeout_s)
    ours = our_versions()
    problems = [answer.problem_beside(ours) for answer in answers]
    table = _table(answers, problems, ours)
    wrong = [
        f"{answer.host}: {problem}"
        for answer, problem in zip(answers, problems, strict=True)
        if problem
    ]
    if wrong:
        head = f"{len(wrong)} of {len(nodes)} nodes:"
        raise ClusterError("\n  ".join([head, *wrong, *table]))
    logger.info("cluster of %d nodes:\n  %s", len(nodes), "\n  ".join(table))
    return nodes


#: What must be the same on every node; a trial's numbers hang on torch too.
_SAME: Final = ("python", "ray", "torch", "hbpr")


@dataclass(frozen=True)
class _Answer:
    """What a node said.

    Attributes:
        host: Its name and address.
        problem: What is wrong, and what to do; empty: nothing.
        versions: By package; empty where it could not say.
    """

    host: str
    problem: str
    versions: Mapping[str, str]

    def problem_beside(self, ours: Mapping[str, str]) -> str:
        """Return what is wrong, other versions than ours included."""
        if self.problem:
            return self.problem
        others = [
            f"{name} {self.versions[name]}, here {ours[name]}"
            for name in _SAME
            if _series(name, self.versions[name]) != _series(name, ours[name])
        ]
        if not others:
            return ""
        return f"other versions: {'; '.join(others)}. Install there what is installed here"


def _series(name: str, version: str) -> str:
    """Return the part of a version that must be the same: of Python the minor one."""
    return ".".join(version.split(".")[:2]) if name == "python" else version


def _table(
    answers: Sequence[_Answer], problems: Sequence[str], ours: Mapping[str, str]
) -> list[str]:
    """Return the lines of a table: this process, then every node."""
    rows = [("node", *_SAME, "fits"), ("this process", *(ours[name] for name in _SAME), "")]
    for answer, problem in zip(answers, problems, strict=True):
        versions = (answer.versions.get(name, "?") for name in _SAME)
        rows.append((answer.host, *versions, "no" if problem else "yes"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


#: Memory that the process of a trial has to itself, its model not counted: torch takes most of it.
_TRIAL_BYTES: Final = 230 * 2**20


def _check_resources(
    nodes: list[dict[str, Any]], trial: Mapping[str, float], *, may_come: bool
) -> None:
    """One node must hold a whole trial, unless an autoscaler may bring such a node."""
    wanted = {name: amount for name, amount in trial.items() if amount > 0}
    needs = {**wanted, "memory": _TRIAL_BYTES}
    if any(
        all(node["Resources"].get(name, 0.0) >= amount for name, amount in needs.items())
        for node in nodes
    ):
        return
    import ray._private.state

    coming = ray._private.state.state.get_max_resources_from_cluster_config() or {}
    empty = not any(node["Resources"].get("CPU") for node in nodes)  # a head that runs no trials
    if (may_come and empty) or (
        wanted and all(coming.get(name, 0) >= amount for name, amount in wanted.items())
    ):
        logger.warning("no node fits a trial yet; trials wait for one that an autoscaler brings")
        return
    have = "; ".join(
        f"{node['NodeManagerHostname']}: {_amounts(node['Resources'], (*trial, 'memory'))}"
        for node in nodes
    )
    raise ClusterError(
        f"sweep.resources: one trial needs {_amounts(needs, needs)} on one node, the cluster has "
        f"{have or 'no node'}."
        " Lower sweep.resources, or add a node. If an autoscaler brings all of them, say how many "
        "trials may wait for them: --set sweep.max_concurrent=N."
    )


def _amounts(resources: Mapping[str, float], names: Iterable[str]) -> str:
    """Return amounts of resources as a text.

    Example:
        >>> _amounts({"CPU": 2.0, "memory": 2.0**30}, ["CPU", "GPU", "memory"])
        'CPU 2, GPU 0, memory 1024 MiB'
    """
    return ", ".join(
        f"memory {resources.get(name, 0.0) / 2**20:.0f} MiB"
        if name == "memory"
        else f"{name} {resources.get(name, 0.0):g}"
        for name in names
    )


def our_versions() -> dict[str, str]:
    """Return the versions that every node must have."""
    return _question().versions()


class _Question(NamedTuple):
    """What a node is asked."""

    look: Callable[[str, str, str], tuple[str, dict[str, str]]]
    versions: Callable[[], dict[str, str]]


def _question() -> _Question:
    """Return functions that travel by value, to a node where hbpr may be missing."""

    def versions() -> dict[str, str]:
        import importlib.metadata
        import platform

        from hbpr.version import __version__

        found = {"python": platform.python_version(), "hbpr": __version__}
        for name in ("ray", "torch"):
            found[name] = importlib.metadata.version(name).partition("+")[0]
        return found

    def look(path: str, content: str, own: str) -> tuple[str, dict[str, str]]:
        import importlib.util

        needed = ("hbpr", "tune", "torch")
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        if missing:
            return f"cannot import {' and '.join(missing)}", {}
        known = versions()
        from cluster.connect.shared import read_and_write

        return read_and_write(path, content, own), known

    return _Question(look, versions)


def _ask_nodes(nodes: list[dict[str, Any]], marker: Marker, timeout_s: float) -> list[_Answer]:
    """Run the question on each node; return what each said."""
    import ray

    asked = [(node, ask_node(node, marker)) for node in nodes]
    references = [reference for _, (reference, _) in asked]
    answered, waited_for = set(), references
    while waited_for:  # hundreds of nodes may start their processes from one shared disk
        heard, waited_for = ray.wait(waited_for, timeout=timeout_s)
        if not heard:
            break
        answered.update(heard)
    answers = []
    for node, (reference, own) in asked:
        if reference not in answered:
            ray.cancel(reference, force=True)
            problem = f"no answer, and none of another node, for {timeout_s:g} s. See: ray status"
            answers.append(_Answer(host_of(node), problem, {}))
            continue
        answers.append(hear(node, reference, own))
    return answers


def host_of(node: Mapping[str, Any]) -> str:
    """Return the name and the address of a node, as `ray.nodes` describes it."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def ask_node(node: Mapping[str, Any], marker: Marker) -> tuple[Any, str]:
    """Put the question to a node; return the reference to its answer, and the file it writes."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(_question().look)
    own = marker.beside(node["NodeID"][:8])
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    asked = task.options(scheduling_strategy=strategy)
    return asked.remote(marker.path, marker.content, own), own


def hear(node: Mapping[str, Any], reference: Any, own: str) -> _Answer:
    """Return what a node has answered."""
    problem, known = _answer_of(reference, own)
    return _Answer(host_of(node), f"{problem}. {_next_step(problem)}" if problem else "", known)


def _answer_of(reference: Any, own: str) -> tuple[str, dict[str, str]]:
    """Return what is wrong on a node, or with the file that it wrote, and its versions."""
    import ray
    from ray.exceptions import RayError

    try:
        problem, known = ray.get(reference)
    except RayError as error:
        return f"the check failed: {str(error).strip().splitlines()[-1]}", {}
    if not problem and not appears(own):
        problem = f"what it writes to {own} does not appear here"
    return problem, known


def _next_step(problem: str) -> str:
    if problem.startswith("cannot import"):
        return "Install hbpr there, or start with ray job submit --working-dir ."
    return next_step(problem)
