import dataclasses
from pathlib import Path

import pytest

from hbpr.cli.main import cli, run
from tune.settings import StudySettings, load_study, make_plan
from tune.space import check

SWEEP = {"space": {"model.n_latent": [4, 8], "training.n_iter": [5, 20]}}


def plan_of(**sweep):
    return make_plan(StudySettings.model_validate({"sweep": SWEEP | sweep}))


def test_what_follows_from_the_settings():
    plan = plan_of()
    assert (plan.n_trials, plan.max_epochs, plan.most_copies) == (32, 20, 0)
    assert plan.goals == plan.settings.sweep.goals()
    assert plan.space.keys == {"model.n_latent", "training.n_iter"}
    assert plan.base.training.growth is None
    assert not plan.given
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.n_trials = 3


def test_a_grid_has_as_many_trials_as_points():
    plan = plan_of(search={"algorithm": "grid"})
    assert plan.n_trials == 4
    assert plan.given
    assert plan.algorithm == "grid"
    assert plan.scheduler.kind == "none"


def test_points_to_start_with_are_given():
    assert plan_of(start_with=[{"model.n_latent": 4}]).given


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plan_of().settings.mlflow.tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"


class TestTheSpaceIsTriedOnce:
    """From the file to the result, resumed or not."""

    @pytest.fixture
    def tried(self, monkeypatch):
        """Grows by one every time that a space is tried against settings."""
        found, corner = [], check._try_corner

        def noted(space, base, end, fixed):
            if end == 0 and not fixed:  # once in each trial of a space
                found.append(space)
            return corner(space, base, end, fixed)

        monkeypatch.setattr(check, "_try_corner", noted)
        return found

    @pytest.fixture
    def file(self, tmp_path: Path, tracking_uri: str) -> str:
        path = tmp_path / "study.yaml"
        path.write_text(f"""
data: {{source: synthetic, synthetic: {{n_users: 80, n_items: 50, n_shown: 25}}}}
training: {{n_iter: 4, eval_every: 2}}
mlflow: {{experiment_name: small, tracking_uri: "{tracking_uri}"}}
sweep:
  scheduler: {{kind: asha, grace_period: 2, reduction_factor: 2, fidelity: data}}
  num_trials: 3
  max_concurrent: 1
  storage: {tmp_path}/studies
  start_with: [defaults]
  final: {{top: 2, seeds: 1}}
  space: {{model.n_latent: [4, 8], optimizer.lr: {{low: 0.01, high: 0.5, log: true}}}}
""")
        return str(path)

    def test_by_a_file(self, file, tried):
        load_study(file)
        assert len(tried) == 1

    def test_by_other_commands(self, file, tried, capsys):
        for words in (["config", "check", file], ["space", "show", file]):
            tried.clear()
            assert run(cli, words) == 0
            assert len(tried) == 1
        assert "searched by tpe in 3 trials" in capsys.readouterr().out

    @pytest.mark.ray
    @pytest.mark.usefixtures("shared_ray")
    def test_by_a_study(self, file, tried, tmp_path, capsys):
        assert run(cli, ["tune", file]) == 0
        assert len(tried) == 1
        (folder,) = tmp_path.glob("studies/small/*")
        tried.clear()
        words = ["study", "resume", str(folder), "--set", "sweep.num_trials=4", "--no-progress"]
        assert run(cli, words) == 0
        assert len(tried) == 1
        capsys.readouterr()
