"""Lists for many users into one file: part by part, so that what was done is not done again.

The parts lie in ``OUT.partial/`` beside ``plan.json``, which says of which lists they are parts.
The file itself appears once it is whole. Memory holds the model and one part.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hbpr.errors import DataError, HbprError
from hbpr.inference.batch.formats import format_of
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions
from hbpr.places import Place

if TYPE_CHECKING:
    import pyarrow as pa

_PLAN: Final = "plan.json"
#: Rows of one part, about, and users in it at least.
_PART_ROWS: Final = 400_000
_LEAST_USERS: Final = 256


@dataclass(frozen=True)
class Wanted:
    """What is made.

    Attributes:
        out: The file.
        rows: (n,) users by index, in the order of the file.
        options: What the lists are like.
        version: Of the model.
        unknown: Ids that are no users of the model.
    """

    out: Place
    rows: NDArray[np.int64] = field(repr=False)
    options: ListOptions
    version: str
    unknown: list[Any] = field(default_factory=list, repr=False)

    @property
    def folder(self) -> Place:
        """Where the parts are until the file is whole."""
        return self.out.beside(".partial")

    @property
    def part_users(self) -> int:
        """Users of a part."""
        return max(_LEAST_USERS, _PART_ROWS // self.options.k)

    @property
    def n_parts(self) -> int:
        """Number of parts, one at least."""
        return max(1, -(-len(self.rows) // self.part_users))

    def part(self, number: int) -> Place:
        """Return the file of a part."""
        return self.folder / f"part-{number:06d}{self.out.suffix}"

    def plan(self) -> dict[str, Any]:
        """Return what parts must agree on to be parts of one file, as plain values."""
        digest = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes()).hexdigest()
        described = {
            "format": 1,
            "model": self.version,
            "users": digest,
            "n_users": len(self.rows),
            "part_users": self.part_users,
            "options": asdict(self.options),
        }
        plain: dict[str, Any] = json.loads(json.dumps(described, default=str))
        return plain


def want(model: LoadedModel, users: list[Any] | None, out: str, options: ListOptions) -> Wanted:
    """Say what is to be made.

    Args:
        model: The model.
        users: Ids; None: everyone.
        out: Path or URI of the file, with the end of its format.
        options: What the lists are like.

    Raises:
        ConfigError: The format is not known, or the place.
        DataError: No user is known, or the options name an item or feature that is not.
    """
    place = Place.of(out)
    format_of(place.suffix, out)
    model.prepare(options)  # refuses what is not known
    if users is None:
        return Wanted(place, np.arange(model.n_users), options, model.version)
    rows, unknown = model.users.rows(users)
    if not len(rows):
        told = model.users.unknown(unknown) if unknown else "the file holds no id"
        raise DataError(f"there is no user to recommend to: {told}")
    return Wanted(place, rows, options, model.version, unknown)


def prepare(wanted: Wanted) -> list[int]:
    """Make the folder of the parts ready; return the parts that are still to be made.

    Parts of other lists are removed.
    """
    folder, plan = wanted.folder, wanted.plan()
    there = folder / _PLAN
    if not (there.exists() and json.loads(there.read()) == plan):
        folder.remove_folder()
        folder.make_folder()
        there.write(json.dumps(plan, indent=1).encode())
    done = set(folder.names())
    numbers = range(wanted.n_parts)
    return [n for n in numbers if wanted.part(n).path.rsplit("/", 1)[1] not in done]


class PartMaker:
    """Makes parts; ids, names and filters are brought into their form once for all of them.

    Args:
        model: The model.
        wanted: What is made.
    """

    def __init__(self, model: LoadedModel, wanted: Wanted) -> None:
        import pyarrow as pa

        self._model, self._wanted = model, wanted
        self._options = model.prepare(wanted.options)
        self._users, self._items = pa.array(model.users.values), pa.array(model.items.values)
        self._names = pa.array(list(model.item_names)) if model.item_names else None

    def make(self, number: int) -> int:
        """Make one part and write it; return its number of rows."""
        wanted = self._wanted
        start = number * wanted.part_users
        table = self.table_of(wanted.rows[start : start + wanted.part_users])
        encode = format_of(wanted.out.suffix, wanted.out.told).encode
        wanted.part(number).write(encode(table))
        return int(table.num_rows)

    def table_of(self, rows: NDArray[np.int64]) -> "pa.Table":
        """Return the lists of users, by index, as a table.

        Returns:
            Columns ``user``, ``item``, ``rank`` (int32, from 1), ``score`` (float32) and, if the
            model knows names of items, ``item_name``.
        """
        import pyarrow as pa

        found = self._model.lists(rows, self._options)
        items = pa.array(found.items)
        columns = {
            "user": self._users.take(pa.array(rows[found.lists])),
            "item": self._items.take(items),
            "rank": pa.array(found.ranks.astype(np.int32)),
            "score": pa.array(found.scores),
        }
        if self._names is not None:
            columns["item_name"] = self._names.take(items)
        return pa.table(columns)


def assemble(wanted: Wanted) -> None:
    """Make the file of all parts, list the unknown users beside it, and remove the parts.

    Raises:
        HbprError: A part is not there.
    """
    folder = wanted.folder
    missing = [n for n in range(wanted.n_parts) if not wanted.part(n).exists()]
    if missing:
        raise HbprError(
            f"{wanted.out.told}: part {missing[0]} of {wanted.n_parts} is not there; on a cluster "
            "the file must be in a place that all nodes share. Run the same command to go on"
        )
    whole = folder / f"whole{wanted.out.suffix}"

    def parts() -> Iterator[bytes]:
        for number in range(wanted.n_parts):
            yield wanted.part(number).read()

    with whole.fs.open_output_stream(whole.path) as file:
        format_of(wanted.out.suffix, wanted.out.told).join(parts(), file)
    if wanted.unknown:
        text = "".join(f"{each}\n" for each in wanted.unknown)
        unknown_file(wanted).write(text.encode())
    whole.move_to(wanted.out)
    folder.remove_folder()


def unknown_file(wanted: Wanted) -> Place:
    """Return where the unknown users are listed."""
    return wanted.out.with_suffix(".unknown.txt")


def run(model: LoadedModel, wanted: Wanted, progress: Callable[[int, int], None]) -> None:
    """Make the file in this process.

    Args:
        model: The model.
        wanted: What is made.
        progress: Called with users done and all users, after each part.
    """
    left = prepare(wanted)
    progress(_users_done(wanted, left), len(wanted.rows))
    maker = PartMaker(model, wanted)
    for at, number in enumerate(left):
        maker.make(number)
        progress(_users_done(wanted, left[at + 1 :]), len(wanted.rows))
    assemble(wanted)


def _users_done(wanted: Wanted, left: list[int]) -> int:
    waiting = sum(
        min(wanted.part_users, len(wanted.rows) - number * wanted.part_users) for number in left
    )
    return len(wanted.rows) - waiting
