"""`hbpr doctor`, `hbpr warmup` and `hbpr completion`."""

import os
import re
from pathlib import Path

import pytest

from hbpr.cli import doctor
from hbpr.cli.main import COMMANDS, cli, run
from hbpr.settings.models import TrialSettings
from hbpr.training import warmup


def test_one_screen_says_what_runs_and_nothing_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:pa55@tracking:5000")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "t0ken")
    monkeypatch.setenv("HBPR_DATA_HOME", str(tmp_path / "data"))
    assert run(cli, ["doctor"]) == 0
    out = capsys.readouterr().out
    names = [line.split()[0] for line in out.splitlines() if line[0] != " "]
    assert names == list(doctor._CHECKS)
    assert len(out.splitlines()) <= 24
    assert "listwise trains the quick start" in out
    assert "MLFLOW_TRACKING_URI=http://***@tracking:5000" in out
    assert "~/data (HBPR_DATA_HOME), not there yet" in out
    for secret in ("pa55", "t0ken", str(tmp_path)):
        assert secret not in out


def test_what_is_missing_is_a_problem_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise OSError("no disk")

    monkeypatch.setattr(doctor, "_LIBRARIES", ("numpy", "no-such-library"))
    checks = {"libraries": doctor._libraries, "disk": broken, "python": doctor._python}
    monkeypatch.setattr(doctor, "_CHECKS", checks)
    assert run(cli, ["doctor"]) == 1
    captured = capsys.readouterr()
    assert "PROBLEM: not installed: no-such-library. Install hbpr again" in captured.out
    assert "python" in captured.out, "the others are looked at all the same"
    assert captured.err == "error: doctor: look at libraries, disk above\n"


def test_a_container_says_what_it_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{2**30}\n")
    monkeypatch.setattr(doctor, "_LIMITS", (str(tmp_path / "none"), str(limit)))
    assert "of which this container may use 1.0" in doctor._memory()
    limit.write_text("max\n")
    assert "container" not in doctor._memory()


def test_memory_where_there_is_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_MEMINFO", tmp_path / "none")
    assert re.fullmatch(r"[\d.]+ GiB", doctor._memory())


def test_what_a_training_needs_is_looked_for() -> None:
    def needs(**changed: object) -> list[str]:
        settings = TrialSettings.model_validate(changed)
        return [each.py_func.__module__.rpartition(".")[2] for each in warmup._loops(settings)]

    assert needs() == ["onehot", "ranks"]
    assert needs(data={"item_feature": "both"}) == ["hybrid", "ranks"]
    softmax = {"loss_function": "softmax_loss", "negatives": {"kind": "auto"}}
    assert needs(training=softmax) == needs(training={"negatives": {"kind": "all"}}) == ["ranks"]
    assert needs(training=softmax | {"engine": "fused"}) == ["onehot", "ranks"]
    assert needs(model={"kind": "neumf"}) == ["ranks"]


def test_what_is_compiled_is_known_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = warmup._indexes(warmup._loops(None)[1])
    assert all(each.name.startswith("onehot._train_blocks-") for each in found)
    index = tmp_path / "x.nbi"
    monkeypatch.setattr(warmup, "_indexes", lambda function: iter(tmp_path.glob("*.nbi")))
    assert not warmup.is_compiled()
    index.touch()
    assert warmup.is_compiled()
    os.utime(index, (0, 0))  # older than its source
    assert not warmup.is_compiled()


def test_compiling_ahead_says_what_it_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmup, "is_compiled", lambda: False)
    assert run(cli, ["warmup"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "compiling once for this machine"
    assert [line.partition(":")[0].strip() for line in lines[1:-1]] == [
        *warmup._TRAININGS,
        "tables",
    ]
    monkeypatch.setattr(warmup, "is_compiled", lambda: True)
    assert run(cli, ["warmup"]) == 0
    assert capsys.readouterr().out.startswith("compiled already, in ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_lines(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["completion", shell]) == 0
    assert "_HBPR_COMPLETE" in capsys.readouterr().out


def test_a_shell_that_asks_is_answered(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_HBPR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "hbpr ")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as done:
        run(cli, [])
    assert done.value.code == 0
    offered = [line.partition(",")[2] for line in capsys.readouterr().out.splitlines()]
    assert offered == list(COMMANDS)
