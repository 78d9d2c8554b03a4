"""One sitting of a study, from its checks to its answer written down."""

from tune.study.run import StudyInterrupted, StudyResult, TrialRecord, run_study

__all__ = ["StudyInterrupted", "StudyResult", "TrialRecord", "run_study"]
