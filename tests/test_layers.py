"""The layers are a test: what pyproject.toml says about imports holds."""

import subprocess
import sys
from collections import deque
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


def test_no_modules_import_each_other_in_a_circle() -> None:
    """All imports count: those for types alone too, and those within functions."""
    grimp = pytest.importorskip("grimp", reason="import-linter of the dev extra brings it")
    graph = grimp.build_graph("hbpr", "tune", "cluster", "dashboards", cache_dir=None)
    imports = {each: graph.find_modules_directly_imported_by(each) for each in graph.modules}
    for module in ("hbpr", "hbpr.pipeline"):  # the documented step
        upward = {each for each in imports[module] if each.startswith("tune.")}
        assert upward, module
        imports[module] -= upward
    assert not [each for each in imports if each.startswith("hbpr") and "tune" in imports[each]]

    circles = _circles(imports)

    assert not circles, "\n".join(" -> ".join([*each, each[0]]) for each in circles)


def test_a_circle_is_found_with_its_modules_in_order() -> None:
    imports = {"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert _circles(imports) == [["a", "b", "c"], ["d", "e"]]


def _circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """Return a shortest circle through the first module of each strongly connected component."""
    circles, seen = [], set()
    for start in sorted(imports):
        paths = _paths(imports, start)
        back = [path for path in paths.values() if start in imports[path[-1]]]
        if start not in seen and back:
            circles.append(min(back, key=lambda path: (len(path), path)))
            seen |= {each for each in paths if start in _paths(imports, each)}
    return circles


def _paths(imports: dict[str, set[str]], start: str) -> dict[str, list[str]]:
    """Return a shortest path to each module that can be reached, by breadth-first search."""
    paths, queue = {start: [start]}, deque([start])
    while queue:
        module = queue.popleft()
        for each in sorted(imports[module] - paths.keys()):
            paths[each] = [*paths[module], each]
            queue.append(each)
    return paths


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
