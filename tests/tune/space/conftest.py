"""A kind of negatives with a rule over two of its settings, as kinds from outside may have."""

from collections.abc import Iterator
from typing import Literal, Self

import pytest
from pydantic import Field, model_validator

from hbpr.settings.models import NEGATIVES, NegativeSettings, TrialSettings


class SpanNegatives(NegativeSettings):
    """Items of a span of time; something must lie outside of it."""

    kind: Literal["span"] = "span"
    before: float = Field(0.5, gt=0.0, lt=1.0, description="Share of the time before.")
    after: float = Field(0.3, gt=0.0, lt=1.0, description="Share of the time after.")

    @model_validator(mode="after")
    def _leave_a_span(self) -> Self:
        if self.before + self.after >= 1.0:
            raise ValueError(f"before + after must be below 1, got {self.before} + {self.after}")
        return self


@pytest.fixture
def spans() -> Iterator[TrialSettings]:
    """Settings of that kind."""
    NEGATIVES.add(SpanNegatives)
    yield TrialSettings(training={"negatives": {"kind": "span"}})
    NEGATIVES.remove("span")
