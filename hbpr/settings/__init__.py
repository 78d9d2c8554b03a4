"""Settings: their schema, the YAML they are written in, and plain messages for what is wrong."""

from hbpr.settings.load import (
    apply_overrides,
    load_trial,
    resolve_paths,
    validate,
    with_values,
)
from hbpr.settings.models import (
    DataSettings,
    MlflowSettings,
    ModelSettings,
    NegativeSettings,
    OptimizerSettings,
    Settings,
    SplitSettings,
    SyntheticSettings,
    TrainingSettings,
    TrialSettings,
)
from hbpr.settings.problems import mask_secrets
from hbpr.settings.yaml import Document, load_yaml

__all__ = [
    "DataSettings",
    "Document",
    "MlflowSettings",
    "ModelSettings",
    "NegativeSettings",
    "OptimizerSettings",
    "Settings",
    "SplitSettings",
    "SyntheticSettings",
    "TrainingSettings",
    "TrialSettings",
    "apply_overrides",
    "load_trial",
    "load_yaml",
    "mask_secrets",
    "resolve_paths",
    "validate",
    "with_values",
]
