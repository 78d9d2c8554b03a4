"""What begins before it is needed, without Ray."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hbpr.errors import ConfigError
from hbpr.settings.models import TrialSettings
from tune.settings import ResourceSettings
from tune.study import early


def imported(names: str, heavy: set[str]) -> str:
    """Which of the heavy packages a process has once it has imported some modules."""
    program = f"import {names}, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["tune.study", "tune.api.study", "tune.api.search"])
def test_a_study_is_checked_without_what_takes_seconds_to_import(module: str) -> None:
    assert imported(module, {"torch", "ray", "optuna", "mlflow", "matplotlib", "plotly"}) == "[]"


def test_what_begins_a_search_imports_neither_torch_nor_mlflow() -> None:
    heavy = {"torch", "numba", "mlflow", "matplotlib", "plotly"}
    assert imported(", ".join(early._BEGINNING), heavy) == "[]"


def test_imports_are_done_when_they_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(early, "_BEGINNING", ("json", "csv"))
    monkeypatch.setattr(early, "_END", ("html",))
    monkeypatch.setattr(early.importlib, "import_module", done.append)
    monkeypatch.setattr(early, "import_client", lambda: done.append("mlflow"))
    with early.imports() as wait:
        wait()
        assert done[:2] == ["json", "csv"]
    assert done == ["json", "csv", "html", "mlflow"]


@pytest.mark.parametrize("joins", [False, True])
def test_a_study_that_is_refused_does_not_wait_for_what_the_end_needs(
    monkeypatch: pytest.MonkeyPatch, joins: bool
) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def slow(name: str) -> None:
        begun.set()
        go_on.wait(10)
        done.append(name)

    def refuse() -> None:
        begun.wait(10)
        threading.Timer(0.2, go_on.set).start()
        raise ConfigError("refused")

    monkeypatch.setattr(early, "_BEGINNING", ("json",))
    monkeypatch.setattr(early, "_END", ("html",))
    monkeypatch.setattr(early.importlib, "import_module", slow)
    monkeypatch.setattr(early, "import_client", lambda: done.append("mlflow"))
    with pytest.raises(ConfigError), early.imports(joins=joins):
        refuse()
    assert done == ["json"]


def test_what_the_end_needs_waits_for_the_checks_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(early, "_BEGINNING", ("json",))
    monkeypatch.setattr(early, "_END", ("html",))
    monkeypatch.setattr(early.importlib, "import_module", done.append)
    monkeypatch.setattr(early, "import_client", lambda: done.append("mlflow"))
    with early.imports(joins=True) as wait:
        time.sleep(0.3)
        assert done == ["json"]
        wait()
    assert done == ["json", "html", "mlflow"]


def test_mlflow_is_imported_told_to_report_to_nobody() -> None:
    program = (
        "from tune.study import early\n"
        "early._BEGINNING = early._END = ()\n"
        "with early.imports(): pass\n"
        "import sys; assert 'mlflow' in sys.modules\n"
        "from mlflow.telemetry import get_telemetry_client; print(get_telemetry_client())"
    )
    clean = {name: value for name, value in os.environ.items() if "TRACK" not in name}
    clean = {name: value for name, value in clean.items() if "TELEMETRY" not in name}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[3],
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "None\n"


def test_an_import_that_fails_is_left_to_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "_BEGINNING", ("no_such_module",))
    monkeypatch.setattr(early, "_END", ())
    monkeypatch.setattr(early, "import_client", lambda: None)
    with early.imports() as wait:
        wait()


def test_that_trials_compile_is_said_once_they_are_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "_QUIET_S", 0.05)
    for compiled, begun, said in ((False, False, 1), (True, False, 0), (False, True, 0)):
        lines: list[str] = []
        monkeypatch.setattr("hbpr.training.warmup.is_compiled", lambda base, known=compiled: known)
        with early.compiling_told(TrialSettings(), lines.append, lambda begun=begun: begun):
            time.sleep(0.5)
        assert len(lines) == said


@pytest.mark.parametrize(
    ("cpu", "gpu", "cpus", "ahead"),
    [(1, 0.0, 2, True), (2, 0.0, 2, False), (1, 0.5, 2, False), (1, 0.0, 64, False)],
)
def test_workers_import_ahead_where_each_gets_a_trial(
    cpu: int, gpu: float, cpus: int, ahead: bool
) -> None:
    modules = early.worker_modules(ResourceSettings(cpu=cpu, gpu=gpu), cpus)
    assert bool(modules) == ahead
