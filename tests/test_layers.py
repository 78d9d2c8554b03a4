"""The layers are a test: what pyproject.toml says about imports holds."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import dashboards
import hbpr

ROOT = Path(__file__).parents[1]


def test_imports_point_one_way() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the dev extra")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(
        [*command, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import hbpr",
        "import sys; from hbpr.cli.main import cli, run; sys.argv = ['hbpr']; run(cli, ['--help'])",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement: str) -> None:
    heavy = ("torch", "ray", "mlflow", "pandas", "optuna", "pydantic", "numpy", "yaml")
    program = (
        f"{statement}\nimport sys\nfound = {heavy!r} & sys.modules.keys()\nassert not found, found"
    )
    program = program.replace(f"{heavy!r}", f"set({heavy!r})")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_lazy_name_exists_and_others_do_not() -> None:
    for name in hbpr.__all__:
        assert getattr(hbpr, name).__name__ == name
        assert name in dir(hbpr)
    with pytest.raises(AttributeError, match="module 'hbpr' has no attribute 'Nothing'"):
        _ = hbpr.Nothing


def test_packages_show_public_names_only() -> None:
    assert dir(hbpr) == sorted([*hbpr.__all__, "__version__"])
    assert dir(dashboards) == ["MLflowPlotter"]


def test_the_version_is_that_of_the_package() -> None:
    assert version("hbpr") == hbpr.__version__
