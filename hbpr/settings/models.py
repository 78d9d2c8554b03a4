"""The settings of one training run, as frozen models that refuse unknown keys.

Every default is in a section's own module. A study's ``sweep`` section is
`tune.settings.SweepSettings`.
"""

from typing import Annotated

from pydantic import Field, field_validator

from hbpr.settings.base import Seed, Settings
from hbpr.settings.data import (
    Candidates,
    DataSettings,
    Features,
    ItemFeatures,
    SplitSettings,
    SyntheticSettings,
)
from hbpr.settings.model import (
    MODELS,
    EaseSettings,
    IalsSettings,
    LatentSettings,
    MfSettings,
    ModelSettings,
    NeuMFSettings,
    SolvedSettings,
    read_by_solved,
)
from hbpr.settings.negatives import (
    NEGATIVES,
    AdaptiveNegatives,
    AllNegatives,
    AnyNegatives,
    AutoNegatives,
    BlockNegatives,
    MixedNegatives,
    NegativeSettings,
    ObservedNegatives,
    PopularityNegatives,
    SharedNegatives,
    UniformNegatives,
)
from hbpr.settings.tables import (
    FeatureTableSettings,
    RowsSettings,
    TableSettings,
    WeightSettings,
    WeightTransform,
)
from hbpr.settings.training import (
    GrowthSettings,
    OptimizerSettings,
    TrainingSettings,
    ValidationMetric,
)

__all__ = [
    "MODELS",
    "NEGATIVES",
    "AdaptiveNegatives",
    "AllNegatives",
    "AnyNegatives",
    "AutoNegatives",
    "BlockNegatives",
    "Candidates",
    "DataSettings",
    "EaseSettings",
    "FeatureTableSettings",
    "Features",
    "GrowthSettings",
    "IalsSettings",
    "ItemFeatures",
    "LatentSettings",
    "MfSettings",
    "MixedNegatives",
    "MlflowSettings",
    "ModelSettings",
    "NegativeSettings",
    "NeuMFSettings",
    "ObservedNegatives",
    "OptimizerSettings",
    "PopularityNegatives",
    "RowsSettings",
    "Seed",
    "Settings",
    "SharedNegatives",
    "SolvedSettings",
    "SplitSettings",
    "SyntheticSettings",
    "TableSettings",
    "TrainingSettings",
    "TrialSettings",
    "UniformNegatives",
    "ValidationMetric",
    "WeightSettings",
    "WeightTransform",
    "read_by_solved",
]


class MlflowSettings(Settings):
    """Where runs are recorded."""

    experiment_name: str = Field("hbpr", min_length=1, description="MLflow experiment.")
    tracking_uri: str = Field(
        "sqlite:///mlflow.db", min_length=1, description="SQLite file or http(s) server."
    )

    @field_validator("tracking_uri")
    @classmethod
    def _is_a_store(cls, uri: str) -> str:
        if not uri.startswith(("sqlite:", "http://", "https://")):
            raise ValueError(
                "must be sqlite:///FILE.db or http(s)://HOST:PORT (MLflow no longer records into "
                "plain folders)"
            )
        return uri


class TrialSettings(Settings):
    """All settings of one training run."""

    data: DataSettings = Field(default_factory=DataSettings, description="The data.")
    model: Annotated[ModelSettings, MODELS] = Field(
        default_factory=MfSettings, description="The model."
    )
    optimizer: OptimizerSettings = Field(
        default_factory=OptimizerSettings, description="The optimizer."
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="The training loop."
    )
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings, description="The records.")
