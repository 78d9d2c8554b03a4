"""Dimensions as objects mean what the same words mean in a file."""

import numpy as np
import pytest

from hbpr import Choice, Integer, LogUniform, Uniform
from tune.space.domains import Choice as ChoiceDomain
from tune.space.domains import FloatRange, IntRange
from tune.space.objects import as_written
from tune.space.parse_dimension import parse_dimension


@pytest.mark.parametrize(
    ("dimension", "domain"),
    [
        (Uniform(0, 1), FloatRange(0.0, 1.0)),
        (Uniform(0, 1, step=0.25), FloatRange(0.0, 1.0, 0.25)),
        (LogUniform(1, 100), FloatRange(1.0, 100.0, log=True)),
        (Integer(1, 9), IntRange(1, 9)),
        (Integer(16, 64, step=16), IntRange(16, 64, 16)),
        (Integer(1, 64, log=True), IntRange(1, 64, log=True)),
        (Choice(["a", None, (1, 2)]), ChoiceDomain(("a", None, [1, 2]))),
        (range(8, 25, 8), ChoiceDomain((8, 16, 24))),
        (np.array([8, 16]), ChoiceDomain((8, 16))),
        ([np.float32(0.5), np.int64(2)], ChoiceDomain((0.5, 2))),
        ({"low": np.int64(1), "high": 4}, IntRange(1, 4)),
    ],
)
def test_they_are_the_domains_of_a_file(dimension, domain) -> None:
    written = as_written({"x": dimension})["x"]
    assert parse_dimension("x", written).domain == domain


@pytest.mark.parametrize(
    "dimension",
    [
        Uniform(0, 1, when={"a.b": 1}),
        LogUniform(0.1, 1, when={"a.b": 1}),
        Integer(1, 3, when={"a.b": 1}),
        Choice([1, 2], when={"a.b": 1}),
    ],
)
def test_conditions(dimension) -> None:
    assert parse_dimension("x", as_written({"x": dimension})["x"]).when == (("a.b", (1,)),)
