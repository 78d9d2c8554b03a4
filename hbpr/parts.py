"""Parts that are not hbpr's own, named by a dotted path: found, and told by name.

A path is ``module:name`` or ``package.module.name``. What it names is imported where it is
needed, in every process: from Python's own path, or else from the current folder. What another
process handed over under a path (see `hand_over`) is taken before anything is imported.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from hbpr.errors import ConfigError
from hbpr.words import did_you_mean

_PATH: Final = re.compile(
    r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*|[^\W\d]\w*(\.[^\W\d]\w*)+"
)
#: The same for editors, roughly.
SCHEMA_PATTERN: Final = r"^[\w.]+[:.]\w[\w.]*$"
#: What another process handed over, by path.
_HANDED: Final[dict[str, Any]] = {}
#: What may be found; None: everything.
_ALLOWED: Final[ContextVar[frozenset[str] | None]] = ContextVar("allowed parts", default=None)
#: Module of a script or a notebook.
MAIN: Final = "__main__"
_MOST_SHOWN: Final = 12


def is_path(name: object) -> bool:
    """Whether a name is a dotted path rather than the name of something that hbpr has.

    Example:
        >>> is_path("my_parts:focal"), is_path("my.parts.focal"), is_path("bpr_loss")
        (True, True, False)
    """
    return isinstance(name, str) and _PATH.fullmatch(name) is not None


@contextmanager
def only(allow: Collection[str]) -> Iterator[None]:
    """In the body, let nothing be found but what is allowed: finding a part runs its code.

    Args:
        allow: Paths, or modules all parts of which are.
    """
    token = _ALLOWED.set(frozenset(allow))
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def find(path: str) -> Any:
    """Return what a path names.

    Raises:
        ConfigError: Its module cannot be imported, or has no such name, or it is not allowed.
    """
    allowed = _ALLOWED.get()
    if allowed is not None and not {path, split(path)[0]} & allowed:
        raise ConfigError(
            f"its code is not part of hbpr and would run here, got {path}. Where you trust it, "
            f"allow it by name: allow=[{path!r}], --allow {split(path)[0]} on the command line, or "
            f"HBPR_ALLOW={split(path)[0]} for MLflow's loader"
        )
    if path in _HANDED:
        return _HANDED[path]
    module_name, name = split(path)
    found: Any = _module(module_name, path)
    module = found
    for step in name.split("."):
        if not hasattr(found, step):
            raise ConfigError(_has_no(module, found, step, path))
        found = getattr(found, step)
    return found


def split(path: str) -> tuple[str, str]:
    """Return the module and the name within it that a path is made of.

    Example:
        >>> split("my.parts:Loss.focal"), split("my.parts.focal")
        (('my.parts', 'Loss.focal'), ('my.parts', 'focal'))
    """
    module, colon, name = path.partition(":")
    if colon:
        return module, name
    above, _, last = path.rpartition(".")
    return above, last


def path_of(part: Any) -> str:
    """Return a path by which a part can be found again, in this process at least.

    Args:
        part: A function, a class, or an object with a name of its own in the module of its
            functions, or in a script or notebook.

    Raises:
        ConfigError: It has no such name.
    """
    module, name = getattr(part, "__module__", None), getattr(part, "__qualname__", None)
    if inspect.isclass(part) or inspect.isroutine(part):
        path = f"{module}:{name}"
        if is_path(path) and _is_there(path, part):
            return path
        raise ConfigError(
            f"{name or part!r}: a part must be found again by its name, also by other processes: "
            "define it with `def` or `class` at the top of a module or a notebook cell, got one "
            "that is made inside of a function, or was defined anew since"
        )
    homes = {MAIN, *modules_of(part)}
    for home in sorted(homes, key=lambda each: each == MAIN):
        for own, value in list(vars(sys.modules.get(home, ModuleType(home))).items()):
            if value is part and not own.startswith("_"):
                return f"{home}:{own}"
    raise ConfigError(
        f"{type(part).__name__}: a part must be found again by its name, also by other processes: "
        f"give it one at the top of the module of its functions ({', '.join(sorted(homes))})"
    )


def modules_of(part: Any) -> set[str]:
    """Return the modules that hold the code of a part: a function, a class, an object of some."""
    if inspect.isclass(part) or inspect.isroutine(part):
        return {str(part.__module__)}
    own = getattr(part, "py_func", None)  # of numba
    inner = vars(part).values() if hasattr(part, "__dict__") else ()
    candidates = [own, *inner]
    return {
        str(each.__module__)
        for each in candidates
        if each is not None and (inspect.isclass(each) or inspect.isroutine(each))
    }


def hand_over(parts: Mapping[str, Any]) -> None:
    """Take parts that another process sent, by path; they win over what could be imported."""
    _HANDED.update(parts)


def paths_in(value: Any) -> list[str]:
    """Return every text within a value that has the form of a path; keys of mappings are none."""
    if isinstance(value, str):
        return [value] if is_path(value) else []
    inner = value.values() if isinstance(value, Mapping) else value
    if isinstance(inner, str | bytes) or not isinstance(inner, Iterable):
        return []
    return [path for each in inner for path in paths_in(each)]


def _is_there(path: str, part: Any) -> bool:
    try:
        return find(path) is part
    except ConfigError:
        return False


def _module(name: str, path: str) -> ModuleType:
    """Import a module; what is only in the current folder is looked for there last."""
    try:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            here = str(Path.cwd())
            if not _is_missing(name, error) or here in sys.path:
                raise
            sys.path.append(here)  # last, so that nothing there hides what is installed
            importlib.invalidate_caches()
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if _is_missing(name, error):
            raise ConfigError(_no_module(name, str(error.name), path)) from None
        raise _broken(name, path, error) from error
    except Exception as error:  # the module is somebody else's
        raise _broken(name, path, error) from error


def _is_missing(name: str, error: ModuleNotFoundError) -> bool:
    """Whether the module itself, or a package above it, is what was not found."""
    return error.name is not None and (name == error.name or name.startswith(f"{error.name}."))


def _broken(name: str, path: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"importing the module {name} failed, got {path}: {type(error).__name__}: {error}"
    )


def _no_module(name: str, missing: str, path: str) -> str:
    here = Path.cwd()
    folder = here.joinpath(*missing.split(".")[:-1])
    near = [each.stem for each in folder.glob("*.py")] + [
        each.parent.name for each in folder.glob("*/__init__.py")
    ]
    above = missing.rpartition(".")[0]
    known = [f"{above}.{each}" if above else each for each in near]
    return (
        f"there is no module {missing}, got {path}.{did_you_mean(missing, known)} It is looked for "
        f"where Python looks (PYTHONPATH, what is installed) and in the current folder, {here}"
    )


def _has_no(module: ModuleType, holder: Any, name: str, path: str) -> str:
    where = getattr(module, "__file__", None) or "a notebook or a script"
    own = [
        each
        for each, value in vars(holder).items()
        if not each.startswith("_") and not isinstance(value, ModuleType)
    ]
    made_here = [
        each for each in own if getattr(vars(holder)[each], "__module__", "") == module.__name__
    ]
    shown = made_here or own
    listed = ", ".join(shown[:_MOST_SHOWN]) + (", ..." if len(shown) > _MOST_SHOWN else "")
    advice = ""
    if module.__name__ == MAIN:
        advice = ". Define it there again first, or move it into a module"
    holder_name = (
        module.__name__ if holder is module else f"{module.__name__}:{holder.__qualname__}"
    )
    return (
        f"{holder_name} ({where}) has no {name!r}, got {path}.{did_you_mean(name, own)} It has "
        f"{listed or 'nothing'}{advice}"
    )
