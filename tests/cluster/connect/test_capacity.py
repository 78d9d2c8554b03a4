"""Counting places for trials, with Ray's answers played."""

from types import SimpleNamespace

import pytest
import ray
from ray._private.state import state

from cluster.connect.capacity import Capacity, count_slots


def _node(name: str, *, alive: bool = True, **resources: float) -> dict:
    return {"NodeID": name, "Alive": alive, "Resources": resources}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    has = SimpleNamespace(nodes=[], draining={}, groups=None)
    monkeypatch.setattr(ray, "nodes", lambda: has.nodes)
    monkeypatch.setattr(type(state), "get_draining_nodes", lambda self: has.draining)
    monkeypatch.setattr(
        type(state),
        "get_cluster_config",
        lambda self: (
            None
            if has.groups is None
            else SimpleNamespace(
                node_group_configs=[
                    SimpleNamespace(resources=resources, max_count=most)
                    for resources, most in has.groups
                ]
            )
        ),
    )
    return has


def test_only_nodes_that_stay_count(cluster) -> None:
    cluster.nodes = [_node("a", CPU=4.0), _node("b", CPU=4.0), _node("c", alive=False, CPU=4.0)]
    assert count_slots(1, 0) == Capacity(8, 8)
    cluster.draining = {"b": 0}
    assert count_slots(1, 0) == Capacity(4, 4)


def test_nodes_with_and_without_gpus(cluster) -> None:
    cluster.nodes = [_node("a", CPU=8.0), _node("b", CPU=8.0, GPU=2.0)]
    assert count_slots(1, 0.5).now == 4
    assert count_slots(2, 0).now == 8
    assert count_slots(1, 0.4).now == 4  # a share lies on one GPU
    assert count_slots(1, 0, without={"b"}) == Capacity(8, 8)


def test_what_an_autoscaler_may_bring(cluster) -> None:
    cluster.nodes = [_node("head")]
    cluster.groups = [({}, 1), ({"CPU": 4}, 3), ({"CPU": 1}, 10)]
    assert count_slots(2, 0) == Capacity(0, 6)
    cluster.groups = [({"CPU": 4}, -1)]
    assert count_slots(2, 0).most >= 1000
