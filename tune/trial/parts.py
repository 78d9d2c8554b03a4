"""Parts that are not hbpr's own, on their way to the processes that train.

What lies in an installed package is imported there by its name. What lies in a script, a notebook
or a file of one's own travels by value: a node of a cluster need not have the file.
"""

import inspect
import platform
import sys
import sysconfig
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ray import cloudpickle

from hbpr.contracts.metric import metrics_in_use
from hbpr.data.sources import SOURCES
from hbpr.errors import ConfigError
from hbpr.names import METRICS
from hbpr.parts import find, hand_over, is_path, modules_of
from hbpr.settings.models import TrialSettings
from hbpr.tables import Table
from hbpr.training.losses import LOSSES

#: Tables whose entries a training looks up by name.
_TABLES: Final[dict[str, Table[Any]]] = {"losses": LOSSES, "metrics": METRICS, "sources": SOURCES}
_OURS: Final = ("hbpr", "tune", "cluster", "dashboards")
_INSTALLED: Final = tuple(
    Path(sysconfig.get_path(name)).resolve()
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
#: Tells the process that sends from others.
_HERE: Final = uuid.uuid4().hex


class Travelling:
    """Settings with the parts that they name; where it is unpickled, `TrialSettings` come out.

    Args:
        settings: What a trial is to do.
        also: Further values that a trial's settings may have, such as those of a search space.
    """

    def __init__(self, settings: TrialSettings, also: Any = ()) -> None:
        self.settings = settings
        self._also = also

    def __reduce__(self) -> tuple[Any, ...]:
        named = {*_texts(self.settings.model_dump()), *_texts(self._also)}
        packed = cloudpickle.dumps(self.settings)
        return _arrive, (_HERE, _handed(named), _added(named), packed)


def sent(settings: TrialSettings) -> Any:
    """Return settings as an argument of a Ray task, which gets `TrialSettings`."""
    return Travelling(settings)


def _arrive(
    sender: str,
    handed: Mapping[str, bytes],
    added: Mapping[str, Mapping[str, bytes]],
    settings: bytes,
) -> TrialSettings:
    """Put the parts where settings find them, and return the settings.

    Raises:
        ConfigError: A part needs what is not on this node.
    """
    if sender != _HERE:
        hand_over({path: _unpacked(path, packed) for path, packed in handed.items()})
        for name, entries in added.items():
            for key, packed in entries.items():
                if key not in _TABLES[name]:
                    _TABLES[name].add(key, _unpacked(key, packed))
    found: TrialSettings = cloudpickle.loads(settings)
    return found


def _unpacked(name: str, packed: bytes) -> Any:
    try:
        return cloudpickle.loads(packed)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{name}: it cannot be put together on node {platform.node()}: {error}. Install what "
            "it imports there, or send the folder along: ray job submit --working-dir ."
        ) from error


def _handed(named: Collection[str]) -> dict[str, bytes]:
    """Return the parts with a dotted path that other processes cannot import, by path."""
    parts = {path: find(path) for path in sorted(named) if is_path(path) and _is_part(path)}
    return {path: _packed(path, part) for path, part in parts.items() if _local_modules(part)}


def _is_part(path: str) -> bool:
    """Whether a text that looks like a path has led to a part; any text of settings may look so."""
    from hbpr.settings.models import MODELS

    tables = (table.adapted for table in _TABLES.values())
    return any(path in each for each in (MODELS.own, metrics_in_use().values(), *tables))


def _added(named: Collection[str]) -> dict[str, dict[str, bytes]]:
    """Return what was added to tables: metrics, which all are reported, and else what is named."""
    found = {}
    for name, table in _TABLES.items():
        used = metrics_in_use() if table is METRICS else {}
        wanted = set(table.added) - set(used) if table is METRICS else set(table.added) & {*named}
        found[name] = {key: _packed(key, table.added[key]) for key in sorted(wanted)}
    return found


def _packed(name: str, part: Any) -> bytes:
    try:
        with _by_value(_local_modules(part)):
            return bytes(cloudpickle.dumps(part))
    except Exception as error:  # whatever the code of others raises when it is pickled
        raise ConfigError(
            f"{name}: it cannot be sent to the processes that train: {type(error).__name__}: "
            f"{error}. Put it into a module of an installed package, or take out what it holds"
        ) from error


@contextmanager
def _by_value(modules: Collection[str]) -> Iterator[None]:
    """Pickle the code of modules, and of the packages that they are in, in the body."""
    tops = {name.partition(".")[0] for name in modules} - {"__main__"}
    known = [sys.modules[name] for name in sorted(tops) if name in sys.modules]
    for module in known:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in known:
            cloudpickle.unregister_pickle_by_value(module)


def _local_modules(part: Any) -> set[str]:
    """Return the modules of a part that another process cannot be expected to have."""
    return {name for name in modules_of(part) if _is_local(name)}


def _is_local(name: str) -> bool:
    if name == "__main__":
        return True
    module = sys.modules.get(name)
    if name.partition(".")[0] in _OURS or module is None:
        return False
    file = inspect.getsourcefile(module) if getattr(module, "__file__", None) else None
    if file is None:
        return not hasattr(module, "__spec__") or module.__spec__ is None
    return not any(Path(file).resolve().is_relative_to(folder) for folder in _INSTALLED)


def _texts(value: Any) -> Iterator[str]:
    """Yield every text within a value, keys of mappings left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
