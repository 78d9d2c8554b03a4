"""Single users who ask at the same moment are answered by one matrix product."""

import asyncio
from collections import defaultdict

import numpy as np

from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions
from hbpr.inference.top_k import Lists

Waiting = tuple[int, "asyncio.Future[Lists]"]


class Batcher:
    """Collects what the event loop takes in at once and asks the model once for each kind.

    Nothing waits for company: what has come in by the end of a turn of the loop is answered.

    Args:
        model: The model.
        in_thread: Ask it in a thread, because an answer takes long.
    """

    def __init__(self, model: LoadedModel, *, in_thread: bool) -> None:
        self._model, self._in_thread = model, in_thread
        self._waiting: dict[ListOptions, list[Waiting]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()

    async def list_for(self, row: int, options: ListOptions) -> Lists:
        """Return the list of one known user, by index; the options must be plain."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Lists] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)
        self._waiting[options].append((row, future))
        return await future

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, defaultdict(list)
        for options, asked in waiting.items():
            if self._in_thread:
                task = asyncio.create_task(self._in_a_thread(options, asked))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                try:
                    found = self._ask(options, asked)
                except Exception as error:  # noqa: BLE001 - whoever waits is told
                    _fail(asked, error)
                else:
                    _hand_out(asked, found)

    async def _in_a_thread(self, options: ListOptions, asked: list[Waiting]) -> None:
        try:
            found = await asyncio.to_thread(self._ask, options, asked)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            _fail(asked, error)
        else:
            _hand_out(asked, found)

    def _ask(self, options: ListOptions, asked: list[Waiting]) -> Lists:
        return self._model.lists(np.array([row for row, _ in asked]), options)


def _hand_out(asked: list[Waiting], found: Lists) -> None:
    if len(asked) == 1:
        parts = [found]
    else:
        ends = np.searchsorted(found.lists, np.arange(1, len(asked) + 1)).tolist()
        parts = [found.between(*part) for part in zip([0, *ends[:-1]], ends, strict=True)]
    for (_, future), part in zip(asked, parts, strict=True):
        if not future.done():  # else the client has gone
            future.set_result(part)


def _fail(asked: list[Waiting], error: Exception) -> None:
    for _, future in asked:
        if not future.done():
            future.set_exception(error)
