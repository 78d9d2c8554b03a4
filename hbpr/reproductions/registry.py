"""Which rows there are, and the settings each was given."""

import importlib
from pathlib import Path
from typing import Final

from hbpr.errors import ConfigError
from hbpr.reproductions.row import Row
from hbpr.settings.load import load_trial
from hbpr.settings.models import TrialSettings
from hbpr.settings.shipped import FOLDER
from hbpr.words import did_you_mean

#: Module of each row, in the order of the report.
ROWS: Final = {
    "ml-100k": "hbpr.reproductions.ml_100k",
    "ml-1m": "hbpr.reproductions.ml_1m",
    "ml-1m-ratings-5": "hbpr.reproductions.ml_1m_ratings_5",
    "ml-100k-75-25": "hbpr.reproductions.ml_100k_75_25",
    "cold-start": "hbpr.reproductions.cold_start",
    "new-films": "hbpr.reproductions.new_films",
    "ml-100k-neumf": "hbpr.reproductions.ml_100k_neumf",
    "ncf-ml-1m": "hbpr.reproductions.ncf_ml_1m",
    "coat": "hbpr.reproductions.coat",
    "online-retail": "hbpr.reproductions.online_retail",
}

_SETTINGS: Final = FOLDER / "reproductions"


def load_row(name: str) -> Row:
    """Return a row by its name.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in ROWS:
        hint = did_you_mean(name, ROWS, f" Rows: {', '.join(ROWS)}")
        raise ConfigError(f"reproduce: no row is called {name!r}.{hint}")
    row: Row = importlib.import_module(ROWS[name]).ROW
    return row


def settings_path(name: str) -> Path:
    """Path of a row's settings file, which comes with hbpr."""
    return _SETTINGS / f"{name}.yaml"


def load_settings(name: str) -> TrialSettings:
    """Read the settings that were chosen for a row.

    Raises:
        ConfigError: The file is wrong.
    """
    return load_trial(settings_path(name))
