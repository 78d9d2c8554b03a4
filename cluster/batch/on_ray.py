"""The same file on a cluster: Ray Data hands the parts to workers, which hold the model."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cluster.connect.ray import ray_runtime
from cluster.model_files import ModelFiles, read_files, write_files
from hbpr.inference.batch.job import PartMaker, Wanted, assemble, prepare
from hbpr.inference.loaded import LoadedModel


class _Worker:
    """Holds the model in one worker and makes the parts that it is handed."""

    def __init__(self, files: Any, wanted: Any, allow: tuple[str, ...]) -> None:
        import ray

        held: ModelFiles = ray.get(files)
        folder = write_files(held)
        try:
            model = LoadedModel.read(folder, allow=allow)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._maker = PartMaker(model, ray.get(wanted))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        for number in batch["part"].tolist():
            self._maker.make(number)
        return batch


def run_on_ray(
    folder: Path,
    wanted: Wanted,
    address: str,
    allow: tuple[str, ...],
    progress: Callable[[int, int], None],
) -> None:
    """Make the file on a cluster; parts that are there already are not made again.

    Args:
        folder: The model's folder on this machine.
        wanted: What is made; its file in a place that all nodes share.
        address: Of the cluster.
        allow: Modules that a model's class may be imported from.
        progress: Called with parts done and all parts.

    Raises:
        ClusterError: No cluster answers.
    """
    left = prepare(wanted)
    with ray_runtime(address) as runtime:
        import ray
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        files, given = ray.put(read_files(folder)), ray.put(wanted)
        workers = max(1, min(int(runtime.cpus), len(left)))
        done = wanted.n_parts - len(left)
        progress(done, wanted.n_parts)
        if left:
            made = ray.data.from_items(
                [{"part": number} for number in left], override_num_blocks=len(left)
            ).map_batches(
                _Worker,
                batch_size=1,
                concurrency=(1, workers),
                num_cpus=1,
                fn_constructor_args=(files, given, allow),
            )
            for batch in made.iter_batches(batch_size=1):
                done += len(batch["part"])
                progress(done, wanted.n_parts)
    assemble(wanted)
