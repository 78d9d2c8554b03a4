"""What files may say of each kind of scheduler, and what the rest of a study asks of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from hbpr.cli.main import cli, run
from hbpr.errors import ConfigError
from hbpr.settings.models import GrowthSettings
from tune.schedulers import (
    SCHEDULERS,
    AshaSettings,
    HyperbandSettings,
    MedianSettings,
    NoneSettings,
    PbtSettings,
)
from tune.settings import StudySettings, SweepSettings, load_study

HALVING = {"grace_period", "reduction_factor", "fidelity"}
FIELDS = {
    "asha": HALVING,
    "hyperband": HALVING,
    "median": {"grace_period"},
    "pbt": {"interval", "quantile"},
    "none": set(),
}


def sweep(**scheduler):
    return SweepSettings.model_validate(
        {"space": {"optimizer.lr": [0.1, 0.2]}, "scheduler": scheduler}
    )


@pytest.mark.parametrize("kind", FIELDS)
def test_each_kind_has_its_own_fields(kind):
    settings = sweep(kind=kind).scheduler
    assert type(settings) in list(SCHEDULERS)
    assert settings.model_dump().keys() == {"kind"} | FIELDS[kind]
    assert sweep(**settings.model_dump()).scheduler == settings


def test_the_table_names_them_all():
    assert [each.model_fields["kind"].default for each in SCHEDULERS] == [
        "asha",
        "median",
        "hyperband",
        "pbt",
        "none",
    ]
    assert sweep().scheduler == AshaSettings()


def study(tmp_path: Path, scheduler: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(f"sweep:\n  space: {{optimizer.lr: [0.1, 0.2]}}\n  scheduler: {scheduler}\n")
    return path


@pytest.mark.parametrize(
    ("scheduler", "key", "has"),
    [
        ("{kind: asha, interval: 3}", "interval", "grace_period, reduction_factor, fidelity"),
        ("{interval: 3}", "interval", "grace_period, reduction_factor, fidelity"),
        ("{kind: median, reduction_factor: 3}", "reduction_factor", "grace_period"),
        ("{kind: median, fidelity: data}", "fidelity", "grace_period"),
        ("{kind: pbt, grace_period: 3}", "grace_period", "interval, quantile"),
        ("{kind: none, grace_period: 3}", "grace_period", "none"),
    ],
)
def test_a_field_of_another_kind_is_refused(tmp_path, capsys, scheduler, key, has):
    path = study(tmp_path, scheduler)
    assert run(cli, ["tune", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}, line 3, sweep.scheduler.{key}: kind " in said
    assert f"has no such setting; it has {has}. {key} belongs to kind " in said


def test_an_override_of_the_kind_drops_the_fields_of_the_old_one(tmp_path):
    path = study(tmp_path, "{kind: asha, grace_period: 7, reduction_factor: 4}")
    plan = load_study(path, ["sweep.scheduler.kind=median"])
    assert plan.scheduler == MedianSettings(grace_period=7)
    assert load_study(path, ["sweep.scheduler.kind=none"]).scheduler == NoneSettings()
    with pytest.raises(ConfigError, match=r"--set sweep\.scheduler\.fidelity: kind median has no"):
        load_study(path, ["sweep.scheduler.kind=median", "sweep.scheduler.fidelity=data"])


def test_what_can_only_be_max_may_still_be_written():
    raw = {"space": {"optimizer.lr": [0.1, 0.2]}, "mode": "max"}
    assert SweepSettings.model_validate(raw) == sweep()
    with pytest.raises(ValueError, match="mode"):
        SweepSettings.model_validate(raw | {"mode": "min"})


def test_epochs():
    asha, median, pbt = AshaSettings(grace_period=5), MedianSettings(), PbtSettings(interval=4)
    assert asha.decision_epochs(60) == [5, 15, 45]
    assert asha.evaluate_at(60) == (5, 15, 45)
    assert HyperbandSettings(grace_period=5).evaluate_at(45) == (5, 15)
    assert (median.decision_epochs(45), median.evaluate_at(45)) == ([5, 10, 20, 40], ())
    assert (pbt.decision_epochs(45), pbt.evaluate_at(45)) == ([], ())
    assert [each.pause_every for each in (asha, median, pbt, NoneSettings())] == [0, 0, 4, 0]


def test_copies():
    assert PbtSettings(interval=10).most_copies(8, 40) == 3 * 2
    assert PbtSettings(quantile=0.5).most_copies(3, 21) == 2 * 1
    assert AshaSettings().most_copies(8, 40) == 0


def test_growing_data():
    data = AshaSettings(grace_period=5, reduction_factor=3.0, fidelity="data")
    assert data.grows_data
    assert data.growth(45) == GrowthSettings(share=1 / 9, epochs=5, factor=3.0)
    assert data.growth(5) is None
    assert AshaSettings().growth(45) is None
    assert not any(kind().grows_data for kind in SCHEDULERS)


def test_short_forms():
    assert AshaSettings(grace_period=10, reduction_factor=2.5).label == "asha 10:2.5"
    assert [kind().label for kind in SCHEDULERS] == [
        "asha 5:3",
        "median 5",
        "hyperband 5:3",
        "pbt",
        "none",
    ]


def test_settings_are_read_without_ray():
    heavy = ("ray", "optuna", "mlflow", "torch")
    program = f"import sys, tune.settings; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_study_round_trip():
    for kind in FIELDS:
        raw = {"sweep": {"space": {"optimizer.lr": [0.1, 0.2]}, "scheduler": {"kind": kind}}}
        settings = StudySettings.model_validate(raw)
        assert StudySettings.model_validate_json(settings.model_dump_json()) == settings
