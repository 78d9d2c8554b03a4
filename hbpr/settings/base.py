"""What all settings classes share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, no silent conversions.

    Strict: ``true`` is not the number 1 and ``"64"`` is not 64. A tuple field that a YAML list
    fills needs ``Field(strict=False)``; its members stay strict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)
