"""Ray's dashboard shows which trial a task belongs to."""

from types import SimpleNamespace

from tune.study.task_names import NameTasks


class _Method:
    def __init__(self, name: str = "train") -> None:
        self.name = name

    def options(self, *, name: str) -> "_Method":
        return _Method(name)


class _Handle:
    """As Ray's: methods appear when they are asked for."""

    def __getattr__(self, item: str) -> _Method:
        return _Method(item)


class _Trial(SimpleNamespace):
    def __str__(self) -> str:
        return self.name


def test_a_reused_actor_takes_the_name_of_its_next_trial() -> None:
    actor, callback = _Handle(), NameTasks("20260101-000000-abcd")
    for name in ("trial-00003", "trial-00009"):
        trial = _Trial(name=name, temporary_state=SimpleNamespace(ray_actor=actor))
        callback.on_trial_start(0, [], trial)
        assert actor.train.name == f"{name} of 20260101-000000-abcd"


def test_a_trial_without_an_actor_is_left_alone() -> None:
    NameTasks("s").on_trial_start(
        0, [], _Trial(name="t", temporary_state=SimpleNamespace(ray_actor=None))
    )
