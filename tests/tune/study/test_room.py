"""The number of trials at a time follows the cluster."""

from ray.tune.search import ConcurrencyLimiter, Searcher

from cluster.connect.capacity import Capacity
from tune.study import room as rooms
from tune.study.room import Room


def test_a_node_that_joins_is_given_trials(monkeypatch) -> None:
    capacity = [Capacity(2, 2)]
    clock = [0.0]
    monkeypatch.setattr(rooms.time, "monotonic", lambda: clock[0])
    room = Room(lambda: capacity[0])
    limiter = room.limit(ConcurrencyLimiter(Searcher(metric="m", mode="max"), 1))
    assert (room.now(), limiter.max_concurrent) == (2, 2)

    capacity[0] = Capacity(4, 4)
    room.on_step_end(0, [])
    assert limiter.max_concurrent == 2  # counting costs a question to the head
    clock[0] = rooms.COUNT_EVERY_S
    room.on_step_end(1, [])
    assert (room.now(), limiter.max_concurrent) == (4, 4)

    capacity[0] = Capacity(0, 0)
    room.look()
    assert (room.now(), limiter.max_concurrent) == (1, 1)  # one trial waits for the next node


def test_trials_wait_for_the_nodes_of_an_autoscaler() -> None:
    room = Room(lambda: Capacity(0, 6))
    assert (room.now(), room.wanted()) == (1, 6)


def test_the_settings_limit_holds() -> None:
    assert Room(lambda: Capacity(8, 60), most=3).wanted() == 3
    waiting = Room(lambda: Capacity(1, 1), most=3)  # for nodes that an autoscaler may bring
    assert (waiting.now(), waiting.wanted()) == (1, 3)


def test_a_private_ray_stays_as_it_is() -> None:
    room = Room(None, at_first=2)
    room.look()
    assert (room.now(), room.wanted()) == (2, 2)
