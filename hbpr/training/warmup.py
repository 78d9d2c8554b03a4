"""Compiling ahead: Numba's functions are compiled once for a machine and kept beside their files.

The first training on a machine compiles what it needs, which takes seconds to half a minute. What
is compiled is good for the same processor, hbpr and Numba, so an image of a container or a new node
can have it before anything trains.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from hbpr.settings.models import BlockNegatives, TrialSettings

_SMALL: Final = {"source": "synthetic", "synthetic": {"n_users": 600, "n_items": 300}}
#: What trains, in words, and the settings that need it.
_TRAININGS: Final[dict[str, dict[str, Any]]] = {
    "own vectors": {},
    "shared features": {"data": {"item_feature": "both"}},
    "candidates in lists": {"data": {"candidates": "observed"}},
    "several threads": {"training": {"threads": 2}},
}


def is_compiled(settings: TrialSettings | None = None) -> bool:
    """Whether this machine has the compiled loops that a training needs; nothing is compiled.

    Args:
        settings: The training's; None: all loops.
    """
    return all(_is_kept(each) for each in _loops(settings))


def cache_folder() -> Path:
    """Return the folder in which Numba keeps what it compiled of the training loops."""
    return Path(_loops(None)[0].stats.cache_path)


def warm_up(say: Callable[[str], None]) -> None:
    """Compile every loop that is not compiled yet, by training a little.

    Args:
        say: Called with what was compiled, and how long that took.
    """
    from hbpr.data import load_data
    from hbpr.training.losses import LOSSES
    from hbpr.training.trainer import Trainer

    for what, changed in _TRAININGS.items():
        started = perf_counter()
        settings = _settings(changed, "bpr_loss")
        data = load_data(settings.data)
        compiled = [loss for loss in LOSSES if LOSSES[loss].gradient is not None]
        for loss in compiled:
            settings = _settings(changed, loss)
            for _ in Trainer(data, settings, threads=settings.training.threads):
                pass
        say(f"{what}: {perf_counter() - started:.1f} s")
    started = perf_counter()
    _read_a_table()
    say(f"tables: {perf_counter() - started:.1f} s")


def _settings(changed: dict[str, Any], loss: str) -> TrialSettings:
    training = {"loss_function": loss, "n_iter": 1, "engine": "fused"}
    return TrialSettings.model_validate(
        {
            "data": _SMALL | changed.get("data", {}),
            "model": {"n_latent": 4},
            "training": training | changed.get("training", {}),
        }
    )


def _read_a_table() -> None:
    from hbpr.data.table import load_table
    from hbpr.settings.models import TableSettings

    with tempfile.TemporaryDirectory(prefix="hbpr-warmup-") as folder:
        path = Path(folder) / "plays.csv"
        path.write_text("user,item\nann,tea\nbob,rye\n", encoding="utf-8")
        load_table(TableSettings(path=str(path)))


def _loops(settings: TrialSettings | None) -> list[Any]:
    """Return the compiled functions that take long to compile and that a training needs."""
    from hbpr.evaluation import ranks
    from hbpr.training.fused import hybrid, onehot

    if settings is None:
        return [hybrid.train_blocks, onehot.train_blocks, ranks._rank_block]
    training = settings.training
    in_blocks = isinstance(training.negatives, BlockNegatives) or (
        training.negatives.kind == "auto" and training.loss_function == "softmax_loss"
    )
    is_fused = training.engine == "fused" or (training.engine == "auto" and not in_blocks)
    if not is_fused or settings.model.kind != "mf":
        return [ranks._rank_block]
    features = {settings.data.item_feature, settings.data.user_feature}
    loops = onehot if features == {"indicator"} else hybrid
    return [loops.train_blocks, ranks._rank_block]


def _is_kept(function: Any) -> bool:
    source = Path(function.py_func.__code__.co_filename)
    newest = max((each.stat().st_mtime for each in _indexes(function)), default=0.0)
    return newest >= source.stat().st_mtime


def _indexes(function: Any) -> Iterator[Path]:
    """Yield Numba's indexes of a function: ``MODULE.NAME-LINE.pyXYZ.nbi``."""
    folder, name = Path(function.stats.cache_path), function.py_func.__qualname__
    line = function.py_func.__code__.co_firstlineno
    return folder.glob(f"*.{name}-{line}.*.nbi")
