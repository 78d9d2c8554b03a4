"""Dotted paths: found, told apart, named."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from hbpr import entry_points, parts
from hbpr.errors import ConfigError
from hbpr.settings.models import TrialSettings
from hbpr.training.losses import LOSSES
from hbpr.training.losses.bpr import BPR, bpr_loss


class Holder:
    """Has a part."""

    @staticmethod
    def part() -> None: ...


HERE = sys.modules[__name__]


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("hbpr.training.losses.bpr:bpr_loss", bpr_loss),
        ("hbpr.training.losses.bpr.bpr_loss", bpr_loss),
        ("hbpr.training.losses.bpr:BPR", BPR),
        (f"{__name__}:Holder.part", Holder.part),
    ],
)
def test_find(path: str, part: Any) -> None:
    assert parts.is_path(path)
    assert parts.find(path) is part


@pytest.mark.parametrize(
    "name", ["bpr_loss", "a b:c", "a:", ":a", "a..b", "a:b:c", "1a:b", 3, None]
)
def test_what_is_no_path(name: Any) -> None:
    assert not parts.is_path(name)


@pytest.mark.parametrize("part", [bpr_loss, BPR, Holder, Holder.part])
def test_a_part_is_named_so_that_it_is_found(part: Any) -> None:
    assert parts.find(parts.path_of(part)) is part


def test_what_has_no_name_is_refused() -> None:
    def inner() -> None: ...

    for part in (inner, lambda: None):
        with pytest.raises(ConfigError, match="must be found again by its name"):
            parts.path_of(part)
    with pytest.raises(ConfigError, match="LossKind: a part must be found again by its name"):
        parts.path_of(type(BPR)(bpr_loss))


def test_the_current_folder_is_looked_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "json.py").write_text("raise RuntimeError('hidden')")
    (tmp_path / "only_here.py").write_text("class A:\n    x = 1\n")
    assert parts.find("json:dumps") is __import__("json").dumps
    assert parts.find("only_here:A.x") == 1
    assert sys.path[-1] == str(tmp_path)
    with pytest.raises(ConfigError, match=r"only_here:A \(.*\) has no 'y', got only_here:A.y"):
        parts.find("only_here:A.y")
    with pytest.raises(ConfigError, match=r"there is no module only_here\.inner, got"):
        parts.find("only_here.inner:A")
    del sys.modules["only_here"]


def test_a_notebook_is_told_to_define_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    with pytest.raises(ConfigError, match=r"Define it there again first, or move it into a module"):
        parts.find("__main__:focal")


def test_only_what_is_allowed_is_found() -> None:
    path = "hbpr.training.losses.bpr:bpr_loss"
    for allow in ([path], ["hbpr.training.losses.bpr"]):
        with parts.only(allow):
            assert parts.find(path) is bpr_loss
    with parts.only([]), pytest.raises(ConfigError, match="allow it by name"):
        parts.find(path)
    with parts.only([]), pytest.raises(ValidationError, match="allow it by name"):
        TrialSettings.model_validate({"training": {"loss_function": path}})
    assert parts.find(path) is bpr_loss


def test_paths_in() -> None:
    assert parts.paths_in({"a:b": ["c:d", 1, {"x": "e.f"}], "y": "bpr_loss"}) == ["c:d", "e.f"]


def test_entry_points_are_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"losses": {"other_bpr": "hbpr.training.losses.bpr:bpr_loss"}}
    monkeypatch.setattr(entry_points, "_all", lambda: found)
    settings = TrialSettings.model_validate({"training": {"loss_function": "other_bpr"}})
    assert LOSSES[settings.training.loss_function].function is bpr_loss
    assert "other_bpr" in list(LOSSES)
    found["losses"]["gone"] = "hbpr.training.losses.bpr:gone"
    with pytest.raises(ValueError, match=r"has no 'gone', got hbpr\.training\.losses\.bpr:gone"):
        TrialSettings.model_validate({"training": {"loss_function": "gone"}})
