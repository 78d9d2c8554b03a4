"""Requests made from the description, right and wrong ones: every answer is one that it names."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from cluster.serving.app import create_app
from hbpr.inference.loaded import LoadedModel

TOKEN = "a-long-enough-token"
#: Requests to each of the ten operations.
EXAMPLES = 100


@pytest.fixture(scope="module")
def api(model: LoadedModel) -> Any:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(model, token=TOKEN))
    schema.config.generation.update(modes=list(schemathesis.GenerationMode))
    return schema


described = schemathesis.pytest.from_fixture("api")


@pytest.mark.long
@described.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_description_names(case: Any) -> None:
    case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
