"""What begins before it is needed, without Ray."""

import subprocess
import sys
from pathlib import Path

import pytest

from cluster.connect.ray import Runtime
from tune.settings import ResourceSettings
from tune.study import early


@pytest.mark.parametrize("module", ["tune.study", "tune.api.study", "tune.api.search"])
def test_a_study_is_checked_without_what_takes_seconds_to_import(module: str) -> None:
    heavy = {"torch", "ray", "optuna", "mlflow", "matplotlib", "plotly"}
    program = f"import {module}, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_imports_are_done_when_they_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(early, "_DRIVER", ("json", "csv"))
    monkeypatch.setattr(early.importlib, "import_module", done.append)
    monkeypatch.setattr(early, "prepare", done.append)
    with early.imports("sqlite:///x.db") as wait:
        wait()
        assert done == ["json", "csv", "sqlite:///x.db"]


def test_an_import_that_fails_is_left_to_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "_DRIVER", ("no_such_module",))
    with early.imports("sqlite:///x.db") as wait:
        wait()


@pytest.mark.parametrize(("private", "gpu"), [(False, 0.0), (True, 1.0)])
def test_workers_that_are_not_ours_or_have_a_gpu_are_left_alone(private: bool, gpu: float) -> None:
    runtime = Runtime(2.0, gpu, ((2.0, gpu),), private=private)
    early.warm_workers(runtime, 2, ResourceSettings(gpu=gpu))  # no Ray is there to be asked
