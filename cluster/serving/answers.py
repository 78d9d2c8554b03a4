"""From a loaded model to JSON, without a detour over objects: most of a request's time is here."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from hbpr.inference.loaded import LoadedModel
from hbpr.inference.text_ids import Id
from hbpr.inference.top_k import Lists


class Answers:
    """Writes a model's answers.

    Args:
        model: The model.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        names = model.item_names or [""] * model.n_items
        self._starts = [
            f'{{"item":{json.dumps(item)}' + (f',"name":{json.dumps(name)}' if name else "")
            for item, name in zip(model.items.values, names, strict=True)
        ]

    def user(self, user: Id | None, found: Lists) -> str:
        """Return a `UserList` of one list."""
        return f'{{"user":{json.dumps(user)},"items":[{self._listed(found)}]}}'

    def error(self, user: Id | None, text: str) -> str:
        """Return a `UserList` that says why there is none."""
        return f'{{"user":{json.dumps(user)},"error":{json.dumps(text)}}}'

    def users(self, rows: list[int], found: Lists) -> Iterator[str]:
        """Yield a `UserList` for each of several known users, by index."""
        bounds = _bounds(found.lists.tolist(), len(rows))
        for row, start, end in zip(rows, bounds[:-1], bounds[1:], strict=True):
            yield self.user(self.model.users.values[row], found.between(start, end))

    def similar(self, row: int, found: Lists) -> str:
        """Return a `SimilarList`."""
        return f'{self._starts[row]},"items":[{self._listed(found)}]}}'

    def known(self, rows: Iterable[int]) -> str:
        """Return `KnownItem`s, by index, with commas between them."""
        return ",".join(self._starts[row] + "}" for row in rows)

    def search(self, text: str, k: int) -> list[int]:
        """Return up to k items whose name or id holds a text, in any case."""
        wanted, found = text.casefold(), list[int]()
        for row, start in enumerate(self._searched):
            if wanted in start:
                found.append(row)
                if len(found) == k:
                    break
        return found

    @cached_property
    def _searched(self) -> list[str]:
        names = self.model.item_names or [""] * self.model.n_items
        return [
            f"{item}\n{name}".casefold()
            for item, name in zip(self.model.items.values, names, strict=True)
        ]

    def _listed(self, found: Lists) -> str:
        starts = self._starts
        return ",".join(
            f'{starts[item]},"score":{score:.6g},"rank":{rank}}}'
            for item, score, rank in zip(
                found.items.tolist(), found.scores.tolist(), found.ranks.tolist(), strict=True
            )
        )


def _bounds(lists: list[int], n: int) -> list[int]:
    """Where each of n lists begins among entries that say whose they are, and the end."""
    starts = [0] * (n + 1)
    for which in lists:
        starts[which + 1] += 1
    for which in range(n):
        starts[which + 1] += starts[which]
    return starts


def plain(value: Any) -> str:
    """Return JSON in ASCII: whatever text came in can go out."""
    return json.dumps(value)
