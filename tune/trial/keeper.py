"""Checkpoints where nothing is shared: workers send them to the driver's disk, and ask for them.

An actor on the driver's node keeps them, so that neither Tune's results nor the driver's loop carry
them. They live as long as that disk: a driver that is killed goes on from them, a lost head does
not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hbpr.errors import HbprError
from tune.storage.checkpoints import newest_checkpoint, trial_folder
from tune.storage.kept import Checkpoints, KeptInFolder, Use, pack, packed, unpack, used
from tune.storage.opened import Opened

#: The largest checkpoint that is sent; it passes through the object store of both nodes.
MOST_BYTES: Final = 256 * 2**20
#: Seconds to wait for the driver's node.
_PATIENCE_S: Final = 120.0


class CheckpointKeeper:
    """The actor: checkpoints in a folder of the driver's node.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str) -> None:
        self._kept = KeptInFolder(Path(folder))

    def load(self, number: int) -> bytes | None:
        """Return the newest checkpoint of a trial, packed."""
        saved = newest_checkpoint(trial_folder(self._kept.folder, number))
        return None if saved is None else pack(saved)

    def save(self, number: int, epoch: int, content: bytes) -> None:
        """Write a checkpoint, and drop the one before."""
        self._kept.save(number, epoch, lambda folder: unpack(content, folder))


class KeptByDriver:
    """What a worker sees of it.

    Args:
        keeper: The actor.
    """

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    def load(self, number: int, use: Use) -> bool:
        """Read the newest checkpoint of a trial; return False where there is none."""
        content = ray.get(self._keeper.load.remote(number), timeout=_PATIENCE_S)
        return content is not None and used(content, use)

    def save(self, number: int, epoch: int, use: Use) -> None:
        """Send a checkpoint.

        Raises:
            HbprError: It is too large to be sent.
        """
        content = packed(use)
        if len(content) > MOST_BYTES:
            raise HbprError(
                f"sweep.storage: driver sends checkpoints of at most {MOST_BYTES >> 20} MiB to the "
                f"driver, and this one has {len(content) / 2**20:.1f} MiB. Keep the study on "
                "s3://BUCKET/FOLDER, or in a folder that all nodes share"
            )
        ray.get(self._keeper.save.remote(number, epoch, content), timeout=_PATIENCE_S)


@contextmanager
def for_workers(storage: Opened, *, alone: bool) -> Iterator[Checkpoints]:
    """Have the checkpoints of a study as its workers see them, while they run.

    Args:
        storage: The study's.
        alone: Whether all of them are on this machine.
    """
    kept = storage.kept
    if alone or storage.shared or not isinstance(kept, KeptInFolder):
        yield kept
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keeper: Any = (
        ray.remote(CheckpointKeeper)
        .options(
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=4,
            scheduling_strategy=here,
        )
        .remote(str(kept.folder))
    )
    try:
        yield KeptByDriver(keeper)
    finally:
        ray.kill(keeper)
