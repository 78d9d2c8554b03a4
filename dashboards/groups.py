"""Which runs compare: those whose metrics were measured on the same held-out data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hbpr.settings.load import dotted
from hbpr.tracking.records import Exam, StudyRecord
from hbpr.tracking.run_log import as_text

#: What of the data settings changes what a model learns from, and not what it is judged on.
_NOT_THE_EXAM: Final = ("item_feature", "user_feature")
_UNKNOWN: Final = "data not recorded"


def exams_of(study: StudyRecord) -> list[Exam]:
    """Return what the metrics of each trial of a study were measured on.

    A trial that does not say so is judged on what its study is. Runs that recorded no fingerprint
    compare within their experiment, if their studies' data settings are equal.
    """
    own = study.origin.exam
    runs = (trial.run for trial in study.trials)
    recorded = [run.exam if run is not None and run.exam.key else own for run in runs]
    if all(each.key for each in recorded):
        return recorded
    other = _exam_of_settings(study)
    return [each if each.key else other for each in recorded]


def _exam_of_settings(study: StudyRecord) -> Exam:
    data = study.settings.get("data")
    where = study.identity.experiment
    if not isinstance(data, Mapping):
        return Exam(f"? {where}", f"{_UNKNOWN} ({where})")
    exam = {key: value for key, value in data.items() if key not in _NOT_THE_EXAM}
    name = str(data.get("name") or data.get("source") or data.get("kind") or "data")
    return Exam(f"? {where} {as_text(exam)}", f"{name} (by its settings, {where})")


def group_names(exams: Sequence[Exam]) -> dict[str, str]:
    """Return for each key what people call the group; equal names get a part of the key.

    Example:
        >>> group_names([Exam("abc", "films", "random 0.8"), Exam("def", "films", "random 0.8")])
        {'abc': 'films, random 0.8 [abc]', 'def': 'films, random 0.8 [def]'}
    """
    names = {exam.key: ", ".join(filter(None, (exam.data, exam.split))) for exam in exams}
    names = {key: name or f"data {key[:8]}" for key, name in names.items()}
    often = Counter(names.values())
    return {key: name if often[name] == 1 else f"{name} [{key[:8]}]" for key, name in names.items()}


def groups_line(counts: Mapping[str, int]) -> str:
    """Return which groups there are, in words; empty for a single one.

    Example:
        >>> groups_line({"films": 12, "books": 1})
        '2 groups of data that do not compare: films (12 runs), books (1 run)'
    """
    if len(counts) < 2:
        return ""
    said = ", ".join(f"{name} ({n} run{'s' if n != 1 else ''})" for name, n in counts.items())
    return f"{len(counts)} groups of data that do not compare: {said}"


def fixed_settings(study: StudyRecord) -> dict[str, Any]:
    """Return the settings that a study fixed for all trials, by dotted name."""
    fixed = {key: study.settings.get(key) for key in ("data", "model", "optimizer", "training")}
    return dotted({key: value for key, value in fixed.items() if isinstance(value, Mapping)})
