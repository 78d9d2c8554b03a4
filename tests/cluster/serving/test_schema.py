"""Requests made from the description, right and wrong ones: every answer is one that it names."""

from collections import Counter
from typing import Any
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from cluster.serving.app import create_app
from hbpr.inference.loaded import LoadedModel

TOKEN = "a-long-enough-token"
OPERATIONS = (
    *(("POST", "/recommend"), ("GET", "/recommend/{user}"), ("GET", "/similar/{item}")),
    *(("GET", "/history/{user}"), ("GET", "/items"), ("GET", "/info"), ("POST", "/reload")),
    *(("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics")),
)
#: Operations whose answer may well be that an id is not known: texts are drawn, ids are few.
BY_ID = ("/recommend", "/recommend/{user}", "/similar/{item}", "/history/{user}", "/reload")


@pytest.fixture(scope="module")
def api(model: LoadedModel) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(model, token=TOKEN))


def test_all_operations_are_asked(api: Any) -> None:
    found = {
        (operation.method.upper(), operation.path)
        for operation in (each.ok() for each in api.get_all_operations())
    }
    assert found == set(OPERATIONS)


def answers_of(operation: Any, mode: GenerationMode, examples: int) -> Counter[tuple[str, int]]:
    """Send requests of one kind to an operation and check the answers with every check there is.

    Returns:
        How many answers of each status came; none where nothing about a request can be wrong.
    """
    load_all_checks()
    checks = [
        check
        for check in CHECKS.get_all()
        if operation.path not in BY_ID or check.__name__ != "positive_data_acceptance"
    ]
    found: Counter[tuple[str, int]] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        found[mode.name, answer.status_code] += 1
        case.validate_response(answer, checks=checks)

    try:
        check()
    except (Unsatisfiable, SkipTest):
        assert mode is GenerationMode.NEGATIVE
    return found


@pytest.mark.parametrize(
    ("examples", "least"), [(3, 40), pytest.param(60, 500, marks=pytest.mark.long)]
)
def test_every_answer_is_one_that_the_description_names(
    api: Any, examples: int, least: int
) -> None:
    answers: Counter[tuple[str, int]] = Counter()
    for method, path in OPERATIONS:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            answers += answers_of(api[path][method], mode, examples)
    assert sum(answers.values()) >= least, answers
    assert {status for _, status in answers} <= {200, 400, 401, 403, 404, 405, 409, 413, 422}
    assert answers["POSITIVE", 200], answers
    assert answers["NEGATIVE", 422], answers
