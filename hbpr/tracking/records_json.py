"""A study's record as JSON: what ``summary.json`` holds."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from hbpr.tracking.records import StudyRecord

#: Number of the form that `as_json` returns. Files without a number are older than the first one.
FORMAT: Final = 2


def as_json(record: StudyRecord) -> dict[str, Any]:
    """Return a record as values of JSON; numbers that JSON has not become text, such as "nan"."""
    content: dict[str, Any] = {"format": FORMAT, **_plain(record)}
    return content


def from_json(content: Mapping[str, Any]) -> StudyRecord:
    """Return the record that `as_json` was given.

    Raises:
        ValueError: The content is in another format, or a field is missing or of the wrong type.
    """
    from pydantic import TypeAdapter

    found = content.get("format")
    if found != FORMAT:
        raise ValueError(f"a study's record has format {FORMAT}, got {found!r}")
    findings = dict(content.get("findings", {}))
    if isinstance(findings.get("importance"), Mapping):
        del findings["importance"]  # shares of an earlier version, which misled where few won
    adapter: TypeAdapter[StudyRecord] = TypeAdapter(StudyRecord)
    return adapter.validate_python({**content, "findings": findings})


def as_text(record: StudyRecord) -> str:
    """Return `as_json` as text, indented, with one line a trial."""
    content = as_json(record)
    trials = ",\n    ".join(json.dumps(trial, default=str) for trial in content.pop("trials"))
    rest = json.dumps(content, indent=2, default=str)
    return f'{rest[:-2]},\n  "trials": [\n    {trials}\n  ]\n}}\n'


def _plain(value: Any) -> Any:
    # A study of 10,000 trials has 200,000 reports: the usual kinds come first.
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value
