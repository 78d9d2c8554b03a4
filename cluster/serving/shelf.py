"""Which model the replicas of Ray Serve answer with: an actor that the driver alone writes.

A replica asks there as a process asks by a file, see `cluster.serving.published`.
"""

import asyncio
import secrets
import shutil
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from cluster.model_files import ModelFiles, write_files
from cluster.serving.published import Published
from hbpr.errors import HbprError

#: Name of the actor.
ACTOR: Final = "hbpr-published"
#: Seconds that looking a model up and bringing it here may take, and between two looks.
_LONGEST_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.25


class Shelf:
    """An actor: the model to answer with, and who asks for a newer one."""

    def __init__(self) -> None:
        self._generation = 0
        self._version = ""
        self._files: list[Any] = []
        self._asked: list[str] = []
        self._answers: dict[str, str | None] = {}

    def publish(self, version: str, files: list[Any]) -> None:
        """Say which model to answer with; its files as a reference in a list."""
        self._generation += 1
        self._version, self._files = version, files

    def generation(self) -> int:
        """Return the generation."""
        return self._generation

    def current(self) -> tuple[int, str, list[Any]]:
        """Return generation, version, and the reference to the model's files, in a list."""
        return self._generation, self._version, self._files

    def ask(self, name: str) -> None:
        """Ask for a look whether there is a newer model."""
        self._asked.append(name)

    def asked(self) -> list[str]:
        """Return who asked and has no answer yet."""
        return self._asked

    def answer(self, names: list[str], error: str | None) -> None:
        """Answer those who asked."""
        self._asked = [each for each in self._asked if each not in names]
        self._answers |= dict.fromkeys(names, error)

    def answered(self, name: str) -> tuple[bool, str | None]:
        """Return whether there is an answer, and what went wrong."""
        if name not in self._answers:
            return False, None
        return True, self._answers.pop(name)


@dataclass
class PublishedActor:
    """The actor seen from a replica, see `cluster.serving.published.Publisher`.

    Attributes:
        shelf: Handle of a `Shelf`.
    """

    shelf: Any
    _here: Published | None = None
    _fetching: Any = field(default_factory=threading.Lock, repr=False)

    def generation(self) -> int:
        """Return the generation of now."""
        import ray

        return int(ray.get(self.shelf.generation.remote()))

    def current(self) -> Published:
        """Return the model of now; its files are brought to this node when they are new."""
        import ray

        with self._fetching:
            generation, version, (reference,) = ray.get(self.shelf.current.remote())
            if self._here is None or self._here.generation != generation:
                held: ModelFiles = ray.get(reference)
                if self._here is not None:
                    shutil.rmtree(self._here.folder, ignore_errors=True)
                self._here = Published(generation, write_files(held), version)
            return self._here

    async def ask(self) -> None:
        """Ask the driver to look the model up again, and wait.

        Raises:
            HbprError: It could not, and why.
        """
        name = secrets.token_hex(8)
        await self.shelf.ask.remote(name)
        for _ in range(int(_LONGEST_S / _LOOK_EVERY_S)):
            await asyncio.sleep(_LOOK_EVERY_S)
            done, problem = await self.shelf.answered.remote(name)
            if problem is not None:
                raise HbprError(problem)
            if done:
                return
        raise HbprError(f"the model was not found within {_LONGEST_S:.0f} s")
