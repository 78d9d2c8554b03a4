"""The model that a process answers with, and its successor: swapped between two requests."""

import asyncio
import logging
import threading
import time
from collections.abc import Collection
from typing import Final

import numpy as np

from cluster.serving import metrics
from cluster.serving.answers import Answers
from cluster.serving.batching import Batcher
from cluster.serving.published import Publisher
from hbpr.errors import HbprError
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions

_log = logging.getLogger(__name__)

#: Seconds between two looks for a successor.
_LOOK_EVERY_S: Final = 0.25
#: Seconds until a model that could not be read is tried again.
_AGAIN_S: Final = 10.0
#: A list that takes longer is made in a thread, so that others are not kept waiting.
_LONG_S: Final = 0.004


class Serving:
    """A model and all that is made of it once.

    Args:
        model: The model.
        generation: Of what was published.
    """

    def __init__(self, model: LoadedModel, generation: int = 0) -> None:
        self.model, self.generation = model, generation
        self.answers = Answers(model)
        first, times = np.zeros(1, np.int64), []
        for _ in range(3):
            begin = time.perf_counter()
            model.lists(first, ListOptions())
            times.append(time.perf_counter() - begin)
        self.is_slow = min(times) > _LONG_S
        self.batcher = Batcher(model, in_thread=self.is_slow)


class Holder:
    """Holds the model of this process.

    Args:
        publisher: Says which; None: `serving` for good.
        serving: The model to begin with; None: the published one, read by `load`.
        allow: Modules that classes of models may be imported from.
    """

    def __init__(
        self,
        publisher: Publisher | None = None,
        serving: Serving | None = None,
        allow: Collection[str] = (),
    ) -> None:
        self._publisher, self._allow = publisher, allow
        self.now = serving
        self._loading = threading.Lock()  # a request and `watch` may ask at the same time

    def load(self) -> Serving:
        """Read the published model and answer with it from now on.

        Raises:
            HbprError: It cannot be read; the old one stays.
        """
        assert self._publisher is not None
        with self._loading:
            try:
                published = self._publisher.current()
                if self.now is not None and published.generation == self.now.generation:
                    return self.now
                model = LoadedModel.read(published.folder, allow=self._allow)
                fresh = Serving(model, published.generation)
            except HbprError:
                raise
            except Exception as error:  # of a class that is somebody else's, of Ray, of the disk
                raise HbprError(f"{type(error).__name__}: {error}") from error
            if self.now is not None:
                metrics.count_reload()
            self.now = fresh
            metrics.note_model(model.version)
            return fresh

    async def watch(self) -> None:
        """Follow what is published, for ever."""
        failed, again = -1, 0.0
        while self._publisher is not None:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                generation = await asyncio.to_thread(self._publisher.generation)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look comes
                _log.debug("no look for a new model: %s", error)
                continue
            if self.now is not None and generation == self.now.generation:
                continue
            if generation == failed and time.monotonic() < again:
                continue
            try:
                serving = await asyncio.to_thread(self.load)
                _log.info("answering with model %s", serving.model.version)
            except HbprError as error:
                level = logging.DEBUG if generation == failed else logging.ERROR
                failed, again = generation, time.monotonic() + _AGAIN_S
                _log.log(level, "the new model cannot be read, the old one stays: %s", error)

    async def reload(self) -> Serving:
        """Ask for the newest model and answer with it.

        Raises:
            HbprError: There is none, or it cannot be read; the old one stays.
        """
        if self._publisher is None:
            raise HbprError("this server was started with a model that has no name to look up")
        try:
            await self._publisher.ask()
        except HbprError:
            raise
        except Exception as error:  # of Ray, of the disk
            raise HbprError(f"{type(error).__name__}: {error}") from error
        return await asyncio.to_thread(self.load)
