"""Requests made from the description, right and wrong ones: every answer is one that it names."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from cluster.serving.app import create_app
from hbpr.inference.loaded import LoadedModel

TOKEN = "a-long-enough-token"
#: Requests to each operation in each of the two ways: over 500 in all.
EXAMPLES = 60
OPERATIONS = (
    *(("POST", "/recommend"), ("GET", "/recommend/{user}"), ("GET", "/similar/{item}")),
    *(("GET", "/history/{user}"), ("GET", "/items"), ("GET", "/info"), ("POST", "/reload")),
    *(("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics")),
)


@pytest.fixture(scope="module")
def api(model: LoadedModel) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(model, token=TOKEN))


def test_all_operations_are_asked(api: Any) -> None:
    found = {
        (operation.method.upper(), operation.path)
        for operation in (each.ok() for each in api.get_all_operations())
    }
    assert found == set(OPERATIONS)


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_one_that_the_description_names(
    api: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = api[path][method]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})

    try:
        check()
    except Exception as error:
        if "is not possible to generate" in str(error) or "Unsatisfiable" in type(error).__name__:
            pytest.skip(f"nothing about this request can be wrong: {error}")
        raise
