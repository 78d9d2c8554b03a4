"""From a YAML file and ``--set`` overrides to checked settings, once, at the edge."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from hbpr.errors import ConfigError
from hbpr.settings.kinds import kinds_in, section_at
from hbpr.settings.models import Settings, TrialSettings
from hbpr.settings.problems import describe, mask_secrets
from hbpr.settings.yaml import Document, load_yaml, parse_value

S = TypeVar("S", bound=Settings)
T = TypeVar("T", bound=TrialSettings)

#: The section whose keys are dotted keys of the settings.
_SPACE: Final = "sweep.space"
_SQLITE: Final = "sqlite:///"
#: How signs of a folder's name are written in an address, where they mean something else.
_IN_ADDRESS: Final = str.maketrans({"%": "%25", "?": "%3F", "#": "%23"})


def load_trial(path: str | Path, overrides: Sequence[str] = ()) -> TrialSettings:
    """Read the settings of one training run.

    A ``sweep`` section is left out, so that the base settings of a study file can be trained alone.

    Args:
        path: YAML file.
        overrides: Such as ``["training.n_iter=5"]``.

    Raises:
        ConfigError: The file or an override is wrong; one line for each problem.
    """
    document = load_yaml(path)
    data = {key: value for key, value in document.data.items() if key != "sweep"}
    trial = Document(data, document.path, document.lines)
    return resolve_paths(validate(TrialSettings, trial, overrides=overrides))


def validate(model_class: type[S], document: Document, *, overrides: Sequence[str] = ()) -> S:
    """Check a document against a schema.

    Args:
        model_class: The schema.
        document: The settings; `path` names their place in messages, also where it is no file.
        overrides: ``key=value`` texts that win over the document.

    Raises:
        ConfigError: One line for each problem, such as ``configs/x.yaml, line 12,
            training.n_itr: unknown key. Did you mean n_iter?``.

    Example:
        >>> document = Document({"training": {"n_itr": 5}}, Path("x.yaml"), {"training.n_itr": 2})
        >>> validate(TrialSettings, document)
        Traceback (most recent call last):
        hbpr.errors.ConfigError: x.yaml, line 2, training.n_itr: unknown key. Did you mean n_iter?
    """
    data = apply_overrides(document.data, overrides, model_class)
    overridden = [_split_override(text)[0] for text in overrides]

    def place(key: str) -> str:
        if any(key == name or key.startswith(f"{name}.") for name in overridden):
            return f"--set {key}"
        where = document.place(key)
        inside = ", ".join(name for name in overridden if not key or name.startswith(f"{key}."))
        if inside and key not in document.lines:
            return f"--set {inside}"
        return f"{where} (with --set {inside})" if inside else where

    try:
        return model_class.model_validate(data)
    except ValidationError as error:
        raise ConfigError(describe(error, model_class, place)) from None


def apply_overrides(
    data: Mapping[str, Any], overrides: Sequence[str], model_class: type[Settings]
) -> dict[str, Any]:
    """Return a copy of settings with ``dotted.key=value`` texts applied, later ones winning.

    Values are read as YAML. Unknown keys are put in as well: `validate` names them. Where another
    ``kind`` is set, the fields of the old one that it lacks go.

    Args:
        data: The settings.
        overrides: Such as ``["training.n_iter=5"]``.
        model_class: The schema, which knows the kinds.

    Raises:
        ConfigError: A text has no ``=``, no key, or leads through a single value.

    Example:
        >>> data = {"training": {"n_iter": 100}, "model": {"kind": "neumf", "hidden": [8]}}
        >>> apply_overrides(data, ["training.n_iter=5", "model.kind=mf"], TrialSettings)
        {'training': {'n_iter': 5}, 'model': {'kind': 'mf'}}
    """
    result = copy.deepcopy(dict(data))
    split = [_split_override(text) for text in overrides]
    values = [(key, _parsed(value, f"--set {key}")) for key, value in split]
    _leave_old_kinds(result, dict(values), model_class)
    for key, value in values:
        _set(result, key, value, f"--set {key}")
    return result


def with_values(settings: T, values: Mapping[str, Any]) -> T:
    """Return settings with some dotted keys replaced, checked again.

    Args:
        settings: The base; it is not changed.
        values: Such as ``{"optimizer.lr": 0.1, "model.n_latent": 32}``. A mapping replaces the
            settings of its section that it names; the others stay. Where another ``kind`` is
            named, the fields of the old one that it lacks go.

    Raises:
        ConfigError: A key is unknown or a value breaks its rule; the message names the key.

    Example:
        >>> with_values(TrialSettings(), {"optimizer.lr": 0.1}).optimizer.lr
        0.1
        >>> both = {"training.negatives": {"kind": "mixed", "observed": 0.3}}
        >>> with_values(TrialSettings(), both).training.negatives.observed
        0.3
    """
    data = settings.model_dump()
    flat = dotted(values)
    _leave_old_kinds(data, flat, type(settings))
    for key, value in flat.items():
        _set(data, key, value, key)
    try:
        return type(settings).model_validate(data)
    except ValidationError as error:
        raise ConfigError(describe(error, type(settings), lambda key: key)) from None


def dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values in which mappings are written out as dotted keys; an empty one stays.

    Example:
        >>> dotted({"training.negatives": {"kind": "mixed", "observed": 0.3}})
        {'training.negatives.kind': 'mixed', 'training.negatives.observed': 0.3}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= dotted({f"{key}.{name}": inner for name, inner in value.items()})
        else:
            flat[key] = value
    return flat


def resolve_paths(settings: T, folder: Path | None = None) -> T:
    """Make a relative SQLite tracking file absolute, since trials run in other folders.

    Args:
        settings: Any trial or study settings.
        folder: What the file is relative to; the current folder if None.

    Example:
        >>> resolve_paths(TrialSettings(), Path("/data")).mlflow.tracking_uri
        'sqlite:////data/mlflow.db'
    """
    uri = settings.mlflow.tracking_uri
    if not uri.startswith(_SQLITE):
        return settings
    path = uri.removeprefix(_SQLITE)
    if path.startswith(("/", ":memory:")):
        return settings
    try:
        here = (folder or Path.cwd()).absolute()
    except FileNotFoundError:
        raise ConfigError(
            "the working directory is gone: it was removed or replaced. Change to a folder that "
            "exists and start again"
        ) from None
    # What is written in the settings is part of an address already; the folder's name becomes one.
    absolute = Path(str(here).translate(_IN_ADDRESS)) / path
    mlflow = settings.mlflow.model_copy(update={"tracking_uri": f"{_SQLITE}{absolute}"})
    return settings.model_copy(update={"mlflow": mlflow})


def _parsed(value: str, place: str) -> Any:
    """Read a value as YAML; one of signs only, such as a comma or a tab, is that text."""
    signs = not any(sign.isalnum() or sign in "'\"[]{}~" for sign in value)
    return value if value and signs else parse_value(value, place)


def _split_override(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise ConfigError(
            f"--set {mask_secrets(text)}: must be KEY=VALUE, for example training.n_iter=20"
        )
    return key, value


def _leave_old_kinds(
    data: dict[str, Any], values: Mapping[str, Any], model_class: type[Settings]
) -> None:
    """Drop what only the old kind has from each section whose ``kind`` the values replace."""
    for key, kinds in kinds_in(model_class):
        if f"{key}.kind" not in values:
            continue
        section = section_at(data, key)
        try:
            old = None if section is None else kinds.class_of(section)
            new = kinds.class_of({"kind": values[f"{key}.kind"]})
        except ConfigError:
            continue  # refused where it stands
        if section is not None and old is not None and new is not None:
            for name in old.model_fields.keys() - new.model_fields.keys():
                section.pop(name, None)


def _set(data: dict[str, Any], key: str, value: object, place: str) -> None:
    """Put a value under a dotted key, making sections on the way.

    Keys that themselves hold dots, as in a search space, are found as they stand.
    """
    section, path, rest = data, "", key
    while True:
        name, rest = _next_name(section, path, rest)
        path = f"{path}.{name}" if path else name
        if not rest:
            section[name] = value
            return
        below = section.get(name)
        if below is None:
            below = section[name] = {}
        if not isinstance(below, dict):
            got = mask_secrets(repr(below))
            raise ConfigError(f"{place}: {path} is a value, not a section, got {got}")
        section = below


def _next_name(section: Mapping[str, Any], path: str, rest: str) -> tuple[str, str]:
    """Split off the part of `rest` that is a key of `section`."""
    dotted = [name for name in section if "." in name]
    for name in sorted(dotted, key=len, reverse=True):
        if rest == name or rest.startswith(f"{name}."):
            return name, rest[len(name) + 1 :]
    head, _, tail = rest.partition(".")
    if head not in section and (dotted or path == _SPACE):
        return rest, ""
    return head, tail
