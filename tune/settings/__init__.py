"""What is asked for: the settings of a study, read once and checked."""

from tune.settings.sections import (
    DEFAULT_TRIALS,
    BudgetSettings,
    FaultSettings,
    FinalSettings,
    LimitSettings,
    ObjectiveSettings,
    ResourceSettings,
    SchedulerSettings,
    SearchSettings,
    StudySettings,
    SweepSettings,
    load_study,
)

__all__ = [
    "DEFAULT_TRIALS",
    "BudgetSettings",
    "FaultSettings",
    "FinalSettings",
    "LimitSettings",
    "ObjectiveSettings",
    "ResourceSettings",
    "SchedulerSettings",
    "SearchSettings",
    "StudySettings",
    "SweepSettings",
    "load_study",
]
