"""The command's frame: help, names, exit codes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hbpr.cli.main import _EPILOG, COMMANDS, LazyGroup, _Entry, cli, run
from hbpr.errors import HbprError, StudyError


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["--help"]) == 0
    out = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert f"{name} " in out
        assert entry.help in out
    assert re.findall(r"^    (\d+) ", out, re.MULTILINE) == ["0", "1", "2", "130"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, [name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"Usage: hbpr {name}" in out
    assert not re.findall(r"^(?!Usage: ).*\.\.\.$", out, re.MULTILINE), "nothing is cut"
    assert "Examples:" in out
    command = cli.get_command(click.Context(cli), name)
    if isinstance(command, click.Group):
        for below in command.commands:
            assert run(cli, [name, below, "--help"]) == 0
            assert re.search(rf"^ *hbpr {name} {below}", capsys.readouterr().out, re.MULTILINE)


HIDING = {"tune": "tune", "cluster": "serve", "dashboards": "plot"}


@pytest.mark.parametrize("package", HIDING)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_module_that_hides_a_package_is_named_and_not_run(
    package: str, is_folder: bool, tmp_path: Path
) -> None:
    hiding = tmp_path / package if is_folder else tmp_path / f"{package}.py"
    if is_folder:
        hiding.mkdir()
    (hiding / "__init__.py" if is_folder else hiding).write_text("print('mine')\n")
    command = [sys.executable, "-m", "hbpr", HIDING[package], "--help"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {hiding} hides the package {package} of hbpr, which is ")
    assert done.stderr.count("\n") == 1


def test_examples_in_help_name_commands_that_exist() -> None:
    named = re.findall(r"^  hbpr (\w+)", _EPILOG, re.MULTILINE)
    assert named
    assert set(named) <= set(COMMANDS)


@pytest.mark.parametrize("args", [["nonsense"], ["--nonsense"], ["train"], ["config", "check"]])
def test_wrong_usage_is_exit_code_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, args) == 2
    assert "Usage: hbpr" in capsys.readouterr().err


def test_a_missing_module_is_told_plainly_and_leaves_help_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "plot", _Entry("dashboards.missing", "plot", "Plot."))
    assert run(cli, ["plot", "x"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: hbpr plot: module dashboards.missing is not installed. Install")
    assert run(cli, ["--help"]) == 0


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (HbprError("it failed"), 1, "error: it failed\n"),
        (StudyError("one\ntwo"), 1, "error: one\n       two\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (click.ClickException("no"), 1, "Error: no\n"),
    ],
)
def test_errors_become_exit_codes(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    assert run(fail, []) == code
    assert capsys.readouterr().err.lstrip("\n") == message


def test_our_own_mistakes_keep_their_traceback() -> None:
    @click.command()
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fail, [])


def test_a_command_may_return_its_exit_code() -> None:
    @click.command()
    def stopped() -> int:
        return 130

    assert run(stopped, []) == 130
    assert isinstance(cli, LazyGroup)
