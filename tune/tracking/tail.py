"""What a study's records say while it runs, read by another process: times, machines, its data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbpr.files import read_json_lines
from hbpr.tracking import tags as tag
from tune.storage.names import EVENTS, OUTBOX


@dataclass
class Tail:
    """Follows the events of a study's records.

    Args:
        study: The study's folder.

    Attributes:
        nodes: Trial -> machine that it last reported from.
        data: Name of the data; empty where that was not recorded.
        n_users: Users of the data; None likewise.
        n_items: Items; likewise.
        sittings: Milliseconds of the first start of a trial and of the last event, by sitting.
    """

    study: Path
    nodes: dict[int, str] = field(default_factory=dict)
    data: str = ""
    n_users: int | None = None
    n_items: int | None = None
    sittings: list[list[int]] = field(default_factory=list)
    _position: int = 0
    _begins: bool = True

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the events that came since the last call, noted here by then."""
        path = self.study / OUTBOX / EVENTS
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self._position)
            whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]  # the writer may be in the middle of a line
        self._position += len(whole)
        for event in read_json_lines(whole.splitlines(), path):
            self._note(event)
            yield event

    def _note(self, event: dict[str, Any]) -> None:
        tags = event.get("tags", {})
        if "trial" in event:
            self._note_time(event)
            if tag.NODE in tags:
                self.nodes[event["trial"]] = tags[tag.NODE]
        elif event["event"] == "start":
            self._begins = True
            self.data = tags.get(tag.DATA, self.data)
            if tag.USERS in tags and tag.ITEMS in tags:
                self.n_users, self.n_items = int(tags[tag.USERS]), int(tags[tag.ITEMS])

    def _note_time(self, event: dict[str, Any]) -> None:
        if self._begins and event["event"] == "start":
            self._begins = False
            self.sittings.append([event["at"], event["at"]])
        elif self.sittings and not self._begins:
            self.sittings[-1][1] = event["at"]
