"""The tables with what `outside` brings, for as long as a test of this folder runs."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

#: What is imported only as long as a test needs it: importing it adds to a table.
collect_ignore = ["floor_scheduler.py", "my_parts.py", "outside.py"]


@pytest.fixture(scope="session", name="module")
def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("outside", Path(__file__).parent / "outside.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["outside"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def outside(module: ModuleType) -> Iterator[ModuleType]:
    module.add()
    yield module
    module.remove()
