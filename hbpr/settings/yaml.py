"""YAML as settings are written in it: no key twice, and ``1e-3`` is a number.

PyYAML alone keeps the last of two equal keys without a word, and reads ``1e-3`` as text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hbpr.errors import ConfigError
from hbpr.settings.shipped import find_shipped, shipped_names
from hbpr.words import did_you_mean

_MERGE: Final = "tag:yaml.org,2002:merge"
#: A float with an exponent as YAML 1.2 reads it: the sign and the point may be left out.
_EXPONENT_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)[eE][-+]?[0-9]+$")


@dataclass(frozen=True)
class Document:
    """A YAML file as it was read.

    Attributes:
        data: The top-level mapping.
        path: The file, as the caller named it; ``Path()`` for settings that are in none.
        lines: Line, from 1, of every dotted key such as ``training.top_k.0``.
    """

    data: dict[str, Any]
    path: Path
    lines: Mapping[str, int]

    def place(self, key: str) -> str:
        """Return the place of a dotted key in words: file, line and key; without a file the key.

        The line is that of the key, or else of the nearest section above it.
        """
        if self.path == Path():
            return key
        above = key
        while above and above not in self.lines:
            above = above.rpartition(".")[0]
        line = f", line {self.lines[above]}" if above else ""
        return f"{self.path}{line}, {key}" if key else f"{self.path}"


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-3`` as YAML 1.2 does."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT_FLOAT, list("-+.0123456789"))


def load_yaml(path: str | Path) -> Document:
    """Read a file whose top level is a mapping.

    Args:
        path: The file; where there is none, the name of one that comes with hbpr, such as
            ``quickstart``.

    Raises:
        ConfigError: The file cannot be read, is not YAML, is empty, holds something else than one
            mapping, repeats a key or has a key that is not text. The message names file and line.
    """
    path = Path(path)
    if not path.exists():
        path = find_shipped(path) or path
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.{_similar_file(path)}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8 text, got byte {error.start}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    data, lines = _parse(text, str(path))
    if data is None:
        raise ConfigError(f"{path}: the file is empty; write settings, or {{}} for all defaults")
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path}, line 1: the top level must be `key: value` lines, got {_kind(data)}"
        )
    return Document(data, path, lines)


def parse_value(text: str, place: str) -> Any:
    """Read one value as it would stand behind ``key:`` in a file.

    Args:
        text: Such as ``1e-3``, ``[10, 20]`` or ``tpe``; empty text is None.
        place: Where the text comes from, for messages.

    Raises:
        ConfigError: The text is not YAML.

    Example:
        >>> parse_value("1e-3", "--set optimizer.lr"), parse_value("[10, 20]", "--set k")
        (0.001, [10, 20])
    """
    return _parse(text, place)[0]


def _parse(text: str, place: str) -> tuple[Any, dict[str, int]]:
    """Return the value and the line of every dotted key."""
    lines: dict[str, int] = {}
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, lines
        _check(node, place, "", lines, ())
        return loader.construct_document(node), lines
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}, line {mark.line + 1}" if mark else place
        raise ConfigError(f"{where}: not valid YAML: {_plain(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{place}: not valid YAML: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()


def _check(
    node: yaml.Node, place: str, key: str, lines: dict[str, int], above: tuple[yaml.Node, ...]
) -> None:
    """Refuse duplicate and non-text keys below `node`, and note the line of each key."""
    if node in above:
        line = node.start_mark.line + 1
        raise ConfigError(f"{place}, line {line}, {key}: the anchor contains itself")
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            name = f"{key}.{index}" if key else str(index)
            lines.setdefault(name, value.start_mark.line + 1)
            _check(value, place, name, lines, above)
    elif isinstance(node, yaml.MappingNode):
        _check_mapping(node, place, key, lines, above)


def _check_mapping(
    node: yaml.MappingNode,
    place: str,
    key: str,
    lines: dict[str, int],
    above: tuple[yaml.Node, ...],
) -> None:
    first: dict[str, int] = {}
    merged = []
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == _MERGE:
            merged.append(value)
            continue
        if key_node.tag != "tag:yaml.org,2002:str":
            text = getattr(key_node, "value", "")
            raise ConfigError(
                f"{place}, line {line}: a key must be text, got {_shown_key(text)}; quote it"
            )
        name = f"{key}.{key_node.value}" if key else key_node.value
        if name in first:
            raise ConfigError(
                f"{place}, line {line}, {name}: the key is already given in line {first[name]}. "
                "Remove one of the two."
            )
        first[name] = line
        lines.setdefault(name, line)
        _check(value, place, name, lines, above)
    for value in merged:  # the mapping's own keys win over merged ones, lines too
        parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for part in parts:
            _check(part, place, key, lines, above)


def _shown_key(value: object) -> str:
    return repr(value) if isinstance(value, str) else "a list or a mapping"


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else f"the single value {value!r}"


def _plain(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or str(error)
    if r"'\t'" in problem:
        return "found a tab; indent with spaces"
    return problem if error.context is None else f"{problem} {error.context}"


def _similar_file(path: Path) -> str:
    """Name what was meant: a YAML file in the same folder, or one that comes with hbpr."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    names = [p.name for p in beside if p.suffix in {".yaml", ".yml"}]
    hint = did_you_mean(path.name, names, shown=lambda name: path.parent / name)
    if hint or path.is_absolute():
        return hint
    shipped = shipped_names()
    listed = f" With hbpr come {', '.join(shipped)}; begin a file of your own with: hbpr init"
    return did_you_mean(path.stem, shipped, listed)
