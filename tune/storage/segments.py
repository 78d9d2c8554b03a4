"""Files that grow, in a store whose objects do not: as segments, by the sitting that wrote them.

``log/00003/journal.log/000000000000512-000000000002048`` holds the bytes from 512 up to 2048 that
sitting 3 wrote. Where it took over from the sitting before is in ``log/00003/begins.json``, so a
driver that does not know yet that another goes on with its study can add nothing to that study.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Self

#: In a study's place.
LOG: Final = "log"
BEGINS: Final = "begins.json"


class Segment(NamedTuple):
    """Bytes of a file that grows.

    Attributes:
        term: Number of the sitting that wrote them.
        start: Position of the first.
        end: Position behind the last.
    """

    term: int
    start: int
    end: int

    @property
    def name(self) -> str:
        """The last part of its object's name."""
        return f"{self.start:015d}-{self.end:015d}"

    @classmethod
    def read(cls, term: str, name: str) -> Self | None:
        """Read the two parts of an object's name; None where they are of another form."""
        start, dash, end = name.partition("-")
        if not (dash and term.isdecimal() and start.isdecimal() and end.isdecimal()):
            return None
        return cls(int(term), int(start), int(end)) if int(start) < int(end) else None


class Piece(NamedTuple):
    """What of a segment belongs to the file: its bytes from `start` up to `end`, of the file."""

    segment: Segment
    start: int
    end: int


def chain(found: Iterable[Segment], begins: Mapping[int, int]) -> list[Piece]:
    """Return what makes up the file, from its first byte on, without a gap.

    Args:
        found: Segments, in any order; some may hold what others hold too.
        begins: Of each sitting, the length of the file that it took over.
    """
    by_term: dict[int, list[Segment]] = {}
    for segment in found:
        by_term.setdefault(segment.term, []).append(segment)
    pieces: list[Piece] = []
    for term, begin in sorted(begins.items()):
        pieces = [Piece(s, a, min(b, begin)) for s, a, b in pieces if a < begin]
        position = pieces[-1].end if pieces else 0
        if position < begin:
            continue  # what it went on from is not here: nor can be what followed
        here = by_term.get(term, [])
        while True:
            fitting = [each for each in here if each.start <= position < each.end]
            if not fitting:
                break
            longest = max(fitting, key=lambda each: each.end)
            pieces.append(Piece(longest, position, longest.end))
            position = longest.end
    return pieces
