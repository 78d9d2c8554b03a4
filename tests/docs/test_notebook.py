"""The notebook runs as it stands, and holds what its cells say."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat comes with the dev extra")
FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_is_that_of_the_program(program: ModuleType) -> None:
    written = nbformat.read(FOLDER / "search.ipynb", as_version=4)
    nbformat.validate(written)
    assert [each.source for each in written.cells] == [text for _, text in program.CELLS]
    code = [each for each in written.cells if each.cell_type == "code"]
    assert [each.execution_count for each in code] == list(range(1, len(code) + 1))
    shown = nbformat.writes(written)
    assert "hbpr-study" in shown
    assert "hbpr-comparison" in shown
    assert shown.count("image/png") == 2
    assert len(shown) < 500_000
    assert "Traceback" not in shown
    assert "/tmp/" not in shown
    assert ".venv" not in shown


@pytest.mark.ray
@pytest.mark.long
def test_it_runs(program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FOLDER.parents[1])]))
    made = program.notebook()
    program.execute(made, tmp_path)
    assert not [
        each
        for cell in made.cells
        for each in cell.get("outputs", [])
        if each.output_type == "error"
    ]
