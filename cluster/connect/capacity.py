"""How many trials a cluster holds, now and once its autoscaler has brought all that it may."""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class Capacity(NamedTuple):
    """Trials at a time.

    Attributes:
        now: On the living nodes that nobody is draining.
        most: Once an autoscaler, where there is one, has brought every node that it may.
    """

    now: int
    most: int


def slots_on(nodes: Iterable[tuple[float, float]], cpu: float, gpu: float) -> int:
    """Return how many trials run at a time on nodes of (CPUs, GPUs); one trial lies on one node.

    A share of a GPU lies on one GPU.

    Example:
        >>> slots_on([(3.0, 0.0), (3.0, 0.0)], 2, 0)
        2
        >>> slots_on([(8.0, 2.0), (8.0, 0.0)], 1, 0.4)
        4
    """
    return sum(_slots(*node, cpu, gpu) for node in nodes)


def _slots(cpus: float, gpus: float, cpu: float, gpu: float) -> int:
    by_cpu = int(cpus / cpu)
    if not gpu:
        return by_cpu
    by_gpu = int(gpus) * int(1 / gpu) if gpu < 1 else int(gpus / gpu)
    return min(by_cpu, by_gpu)


def count_slots(cpu: float, gpu: float, without: Collection[str] = ()) -> Capacity:
    """Count the places for trials in the cluster that this process is connected to.

    Args:
        cpu: CPUs of one trial.
        gpu: GPUs of one trial.
        without: Ids of nodes that get no trials.
    """
    import ray
    from ray._private.state import state

    left_out = {*leaving_nodes(), *without}
    living = [
        node["Resources"]
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] not in left_out
    ]
    now = slots_on(map(_size, living), cpu, gpu)
    config = state.get_cluster_config()
    if config is None:
        return Capacity(now, now)
    to_come = 0
    for group in config.node_group_configs:
        each = slots_on([_size(group.resources)], cpu, gpu)
        to_come += each * (group.max_count if group.max_count >= 0 else _UNLIMITED)
    return Capacity(now, max(now, to_come))


def leaving_nodes() -> frozenset[str]:
    """Return the ids of nodes that somebody drains."""
    from ray._private.state import state

    return frozenset(state.get_draining_nodes())


#: Nodes of a group without an upper bound; more than a study has trials.
_UNLIMITED = 1_000


def _size(resources: dict[str, float]) -> tuple[float, float]:
    return float(resources.get("CPU", 0.0)), float(resources.get("GPU", 0.0))
