"""One sitting of a study, from its checks to its answer written down."""

from typing import TYPE_CHECKING, Any

from tune.study.run import StudyInterrupted, TrialRecord, run_study

if TYPE_CHECKING:
    from tune.answer.result import StudyResult

__all__ = ["StudyInterrupted", "StudyResult", "TrialRecord", "run_study"]


def __getattr__(name: str) -> Any:
    """Import `StudyResult`, which brings torch, on its first use."""
    if name != "StudyResult":
        raise AttributeError(f"module 'tune.study' has no attribute {name!r}")
    from tune.answer.result import StudyResult

    return StudyResult
