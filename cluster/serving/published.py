"""Which model the processes of one server answer with: a file that the parent alone writes.

A process asks by leaving a file; the parent looks the model up, publishes it and leaves an answer.
"""

import asyncio
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from hbpr.errors import HbprError
from hbpr.files import write_json

_CURRENT: Final = "current.json"
_ASKED: Final = "asked"
_ANSWERED: Final = "answered"
#: Seconds that looking a model up and bringing it here may take.
_LONGEST_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.1


class Published(NamedTuple):
    """The model to answer with.

    Attributes:
        generation: Rises with each reload.
        folder: Where it is.
        version: As of `hbpr.inference.locate.Located`.
    """

    generation: int
    folder: Path
    version: str


class Publisher(Protocol):
    """Says which model to answer with; one for all processes of a server. All of it may block."""

    def generation(self) -> int:
        """Return the generation of now; nothing is brought here."""

    def current(self) -> Published:
        """Return the model of now, brought to this machine if it is not here."""

    async def ask(self) -> None:
        """Ask for the model that its name means now, and wait until it is published.

        Raises:
            HbprError: There is none, or it cannot be read; the old one stays.
        """


@dataclass(frozen=True)
class PublishedFile:
    """A folder that the parent and its processes share, see `Publisher`.

    Attributes:
        folder: The folder.
    """

    folder: Path

    def prepare(self) -> None:
        """Make the folder ready; the parent calls it."""
        (self.folder / _ASKED).mkdir()
        (self.folder / _ANSWERED).mkdir()

    def publish(self, published: Published) -> None:
        """Say which model to answer with from now on."""
        write_json(self.folder / _CURRENT, published._asdict())

    def is_there(self) -> bool:
        """Return whether a model was published."""
        return (self.folder / _CURRENT).exists()

    def generation(self) -> int:
        """Return the generation of now."""
        return self.current().generation

    def current(self) -> Published:
        """Return the model of now."""
        stored = json.loads((self.folder / _CURRENT).read_bytes())
        return Published(stored["generation"], Path(stored["folder"]), stored["version"])

    async def ask(self) -> None:
        """Ask the parent to look the model up again, and wait.

        Raises:
            HbprError: It could not, and why.
        """
        name = secrets.token_hex(8)
        (self.folder / _ASKED / name).touch()
        answer = self.folder / _ANSWERED / name
        for _ in range(int(_LONGEST_S / _LOOK_EVERY_S)):
            await asyncio.sleep(_LOOK_EVERY_S)
            if answer.exists():
                problem = json.loads(answer.read_bytes())["error"]
                answer.unlink()
                if problem is not None:
                    raise HbprError(problem)
                return
        raise HbprError(f"the model was not found within {_LONGEST_S:.0f} s")

    def asked(self) -> list[str]:
        """Return who asked and waits; the parent calls it."""
        return [path.name for path in (self.folder / _ASKED).iterdir()]

    def answer(self, names: list[str], error: str | None) -> None:
        """Answer those who asked; `error` says why there is no newer model."""
        for name in names:
            write_json(self.folder / _ANSWERED / name, {"error": error})
            (self.folder / _ASKED / name).unlink(missing_ok=True)
