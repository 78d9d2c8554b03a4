"""What is asked for: the settings of a study, read and checked, and the plan that follows."""

from tune.schedulers import SchedulerSettings
from tune.settings.load import load_study
from tune.settings.plan import StudyPlan, make_plan, plan_of_started
from tune.settings.schema import DEFAULT_TRIALS, StudySettings, SweepSettings
from tune.settings.sections import (
    BudgetSettings,
    FaultSettings,
    FinalSettings,
    LimitSettings,
    ObjectiveSettings,
    ResourceSettings,
    SearchSettings,
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
    "StudyPlan",
    "StudySettings",
    "SweepSettings",
    "load_study",
    "make_plan",
    "plan_of_started",
]
