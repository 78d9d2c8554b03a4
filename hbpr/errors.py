"""The errors a user can meet.

    HbprError                       exit code 1
    ├── ConfigError (ValueError)    exit code 2: a setting, an option or a search space is wrong
    │   ├── SpaceError              a dimension of the search space
    │   └── EngineError             the engine asked for does not cover the settings
    ├── DataError (ValueError)      exit code 2: interactions, features, ids or a split
    │   └── DatasetMissingError     a dataset or file is not where it was looked for
    ├── FormatError                 exit code 2: what was stored has a format that is not known
    ├── ClusterError                exit code 2: no cluster, or one that does not fit
    ├── TrackingError               exit code 2: the MLflow server or file cannot be used
    ├── DivergedError               training met NaN or infinity
    └── StudyError                  a study that found no winner, or that another process runs
        └── StudyFolderError        exit code 2: a folder without the study that was asked for

A message names the place, the rule, the value received and the next step. The command line prints
it after ``error: `` and leaves with `exit_code`; a traceback is for our own mistakes only.
"""


class HbprError(Exception):
    """Root of every error that hbpr raises on purpose."""

    exit_code = 1


class ConfigError(HbprError, ValueError):
    """A setting, an option or a file of settings is wrong."""

    exit_code = 2


class SpaceError(ConfigError):
    """A dimension of the search space is wrong."""


class EngineError(ConfigError):
    """The engine that was asked for by name does not cover the settings."""


class DataError(HbprError, ValueError):
    """Interactions, features, ids or a split are wrong."""

    exit_code = 2


class DatasetMissingError(DataError, FileNotFoundError):
    """A dataset or a file is not where it was looked for."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class FormatError(HbprError):
    """What was stored has a format that this hbpr does not know."""

    exit_code = 2


class ClusterError(HbprError, ConnectionError):
    """No cluster answers, or the one that does cannot run the work."""

    exit_code = 2

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TrackingError(HbprError, ConnectionError):
    """The MLflow server or file cannot be used."""

    exit_code = 2

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class DivergedError(HbprError, ArithmeticError):
    """Training met NaN or infinity."""


class StudyError(HbprError, RuntimeError):
    """A study ended without a winner, or another process runs it."""


class StudyFolderError(StudyError):
    """A folder holds no study, or none that can be gone on with as it was asked."""

    exit_code = 2
