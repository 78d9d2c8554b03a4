"""What stops trials early: one file a kind of rule, and the table of the kinds.

Importing this does not import Ray: a kind's `make` does.
"""

from hbpr.settings.kinds import Kinds
from tune.schedulers.asha import AshaSettings
from tune.schedulers.base import Planned, SchedulerContext, SchedulerSettings
from tune.schedulers.hyperband import HyperbandSettings
from tune.schedulers.median import MedianSettings
from tune.schedulers.none import NoneSettings
from tune.schedulers.pbt import PbtSettings

__all__ = [
    "SCHEDULERS",
    "AshaSettings",
    "HyperbandSettings",
    "MedianSettings",
    "NoneSettings",
    "PbtSettings",
    "Planned",
    "SchedulerContext",
    "SchedulerSettings",
]

#: The kinds of `SchedulerSettings`; another one is added by ``SCHEDULERS.add(ItsSettings)``,
#: or named by its dotted path.
SCHEDULERS = Kinds(
    SchedulerSettings,
    AshaSettings,
    MedianSettings,
    HyperbandSettings,
    PbtSettings,
    NoneSettings,
    adapt="tune.schedulers.own:as_scheduler",
    group="schedulers",
)
