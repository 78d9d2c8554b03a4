"""`hbpr explain`, and the page of all settings, which is written from the same source."""

from pathlib import Path

import pytest

from hbpr.cli.explain import find, page
from hbpr.cli.main import cli, run
from hbpr.errors import ConfigError
from hbpr.settings.explain import all_settings
from hbpr.settings.problems import known_keys
from tune.settings import StudySettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
ALL = all_settings(StudySettings)


def test_the_page_of_settings_is_that_of_the_code() -> None:
    assert PAGE.read_text() == page(ALL), "write it anew: hbpr explain -o docs/settings.md"


def test_every_setting_is_explained() -> None:
    assert set(known_keys(StudySettings)) <= set(ALL)
    for setting in ALL.values():
        for each in setting.variants:
            assert each.type
            assert each.description, setting.key


def test_a_setting_is_told_with_type_default_and_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["explain", "optimizer.lr"]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[1:4]] == [
        ["type", "number"],
        ["default", "0.05"],
        ["bounds", "above", "0,", "to", "100"],
    ]
    assert "--set optimizer.lr=0.05" in out


def test_kinds_that_have_a_setting_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["explain", "training.negatives.alpha"]) == 0
    out = capsys.readouterr().out
    assert "of kind popularity" in out
    assert "of kind shared" in out
    assert ALL["optimizer.lr"].variants[0].kinds == ()
    assert {"mf", "neumf"} <= set(ALL["model.n_latent"].variants[0].kinds)
    assert ALL["model.kind"].variants[0].default == "mf"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("temperature", ["model.temperature"]),
        ("sweep.space.optimizer.lr", ["optimizer.lr"]),
        ("sweep.budget", ["sweep.budget.wall_s", "sweep.budget.train_s"]),
        ("budget", ["sweep.budget.wall_s", "sweep.budget.train_s"]),
        ("seed", ["data.split.seed", "data.synthetic.seed"]),
    ],
)
def test_a_section_or_a_last_name_is_enough(key: str, found: list[str]) -> None:
    assert [each.key for each in find(ALL, key)][: len(found)] == found


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("training.n_itr", "Did you mean training.n_iter?"),
        ("temprature", "Did you mean model.temperature?"),
        ("zzz", "All sections: hbpr explain"),
    ],
)
def test_an_unknown_setting_names_the_nearest(key: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="no setting is called") as caught:
        find(ALL, key)
    assert hint in str(caught.value)


def test_the_sections_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, ["explain"]) == 0
    heads = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "]
    assert heads == list(StudySettings.model_fields)


def test_the_page_is_written_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "all.md"
    assert run(cli, ["explain", "-o", str(target)]) == 0
    assert target.read_text() == page(ALL)
    assert run(cli, ["explain", "x", "-o", str(target)]) == 2
    assert "leave KEY out" in capsys.readouterr().err
