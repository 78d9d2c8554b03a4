import pytest
from pydantic import ValidationError

from hbpr.errors import ConfigError, SpaceError
from hbpr.settings.models import TrialSettings
from tune.settings import StudySettings, SweepSettings, load_study, make_plan

LR = {"low": 1e-3, "high": 0.3, "log": True}


def study(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def message(error_type, path, *overrides):
    with pytest.raises(error_type) as caught:
        load_study(path, overrides)
    return str(caught.value)


def test_a_study_file_is_read(tmp_path):
    path = study(
        tmp_path,
        """
model: {n_latent: 16}
sweep:
  metric: val/ndcg_at_10
  search: {algorithm: tpe, seed: 3}
  scheduler: {kind: asha, grace_period: 5, reduction_factor: 3}
  num_trials: 12
  space:
    model.n_latent: [32, 64, 128]
    optimizer.lr: {low: 1e-3, high: 0.3, log: true}
  resources: {cpu: 1, gpu: 0}
""",
    )
    plan = load_study(path, ["training.n_iter=7"])
    settings = plan.settings
    assert plan.n_trials == 12
    assert plan.max_epochs == 7
    assert settings.sweep.search.seed == 3
    assert [d.key for d in plan.space.dimensions] == ["model.n_latent", "optimizer.lr"]
    assert settings.mlflow.tracking_uri.startswith("sqlite:////")
    assert type(plan.base) is TrialSettings
    assert plan.base.model.n_latent == 16


def test_short_form_is_a_grid_that_runs_to_its_end():
    settings = StudySettings.model_validate(
        {"sweep": {"model.n_latent": [32, 64], "data.item_feature": ["metadata", "indicator"]}}
    )
    assert settings.sweep.search.algorithm == "grid"
    assert settings.sweep.scheduler.kind == "none"
    assert make_plan(settings).n_trials == 4


def test_the_default_scheduler_of_a_long_grid_is_none_too():
    long = {"search": {"algorithm": "grid"}, "space": {"model.n_latent": [1, 2]}}
    assert SweepSettings.model_validate(long).scheduler.kind == "none"
    chosen = {**long, "scheduler": {"kind": "median"}}
    assert SweepSettings.model_validate(chosen).scheduler.kind == "median"
    assert SweepSettings.model_validate({"space": {"model.n_latent": [1, 2]}}).scheduler.kind == (
        "asha"
    )


@pytest.mark.parametrize(
    ("sweep", "monitor", "expected"),
    [
        ({"space": {"optimizer.lr": LR}}, None, "val/ndcg_at_10"),
        ({"metric": "val/mrr", "space": {"optimizer.lr": LR}}, None, "val/mrr"),
        ({"metric": "val/mrr", "space": {"optimizer.lr": LR}}, "val/auc", "val/mrr"),
        ({"space": {"optimizer.lr": LR}}, "val/hr_at_20", "val/hr_at_20"),
        ({"optimizer.lr": [0.1, 0.2]}, "val/hr_at_20", "val/hr_at_20"),
    ],
)
def test_trials_watch_the_metric_of_the_study(sweep, monitor, expected):
    training = {"monitor": monitor} if monitor else {}
    settings = StudySettings.model_validate({"training": training, "sweep": sweep})
    assert settings.sweep.metric == make_plan(settings).base.training.monitor == expected


def test_the_metric_replaces_a_default_monitor_that_top_k_would_refuse():
    settings = StudySettings.model_validate(
        {
            "training": {"top_k": [5]},
            "sweep": {"metric": "val/ndcg_at_5", "space": {"optimizer.lr": LR}},
        }
    )
    assert make_plan(settings).base.training.monitor == "val/ndcg_at_5"


def test_settings_survive_a_round_trip():
    settings = StudySettings.model_validate({"sweep": {"model.n_latent": [32, 64]}})
    assert StudySettings.model_validate(settings.model_dump()) == settings
    assert StudySettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"metric": "test/ndcg_at_10"}, "must be a validation metric"),
        ({"metric": "val/ndcg@10"}, "Did you mean val/ndcg_at_10"),
        ({"metric": "val/ndcg_at_7"}, "needs 7 in training.top_k"),
        ({"search": {"algorithm": "grid"}, "num_trials": 3}, "a grid runs all its points"),
        ({"resources": {"cpu": 0}}, "greater than or equal to 1"),
        ({"resources": {"gpu": 1.5}}, "gpu must be a share up to 1 or a whole number, got 1.5"),
        ({"scheduler": {"reduction_factor": 1}}, "greater than 1"),
        ({"model.n_latent": [1, 2]}, "Put dimensions under sweep.space"),
    ],
)
def test_bad_sweeps_are_refused(sweep, words):
    raw = {"space": {"optimizer.lr": LR}, **sweep}
    with pytest.raises(ValidationError, match=words):
        StudySettings.model_validate({"sweep": raw})


def test_a_study_needs_a_sweep(tmp_path):
    text = message(ConfigError, study(tmp_path, "model: {n_latent: 16}\n"))
    assert "study.yaml: there is no sweep section" in text
    assert "hbpr train" in text


def test_a_sweep_may_come_from_an_override(tmp_path):
    path = study(tmp_path, "model: {n_latent: 16}\n")
    settings = load_study(path, ["sweep.space.optimizer.lr=[0.1, 0.2]"]).settings
    assert settings.sweep.space == {"optimizer.lr": [0.1, 0.2]}


def test_a_value_of_two_types_has_one_line_with_both_rules(tmp_path):
    path = study(tmp_path, "sweep: {space: {optimizer.lr: [0.1]}, start_with: [portfolo]}\n")
    assert message(ConfigError, path).endswith(
        "sweep.start_with.0: must be defaults or portfolio, or a section of `key: value` lines, "
        "got 'portfolo'. Did you mean portfolio?"
    )


def test_errors_of_the_space_name_file_line_and_key(tmp_path):
    path = study(
        tmp_path, "sweep:\n  space:\n    optimizer.lr: {low: 0.1, high: 0.01, log: true}\n"
    )
    assert message(SpaceError, path) == (
        f"{path}, line 3, optimizer.lr: low must be below high, got low=0.1, high=0.01. Swap them."
    )
    assert message(SpaceError, path, "sweep.space.optimizer.lr={low: -1.0, high: 1}") == (
        "--set optimizer.lr: must be greater than 0, got -1.0"
    )


def test_errors_of_the_short_form_name_file_line_and_key(tmp_path):
    path = study(tmp_path, "sweep:\n  optimizer.lr: [0.1]\n  model.n_latnt: [1, 2]\n")
    assert message(SpaceError, path) == (
        f"{path}, line 3, model.n_latnt: no such setting. Did you mean model.n_latent?"
    )


def test_unknown_keys_of_the_sweep_name_the_nearest(tmp_path):
    path = study(tmp_path, "sweep:\n  num_trails: 3\n  space: {optimizer.lr: [0.1]}\n")
    assert message(ConfigError, path) == (
        f"{path}, line 2, sweep.num_trails: unknown key. Did you mean num_trials?"
    )


NDCG = {"metric": "val/ndcg_at_10", "mode": "max"}
BYTES = {"metric": "item_vector_bytes", "mode": "min"}


def several(**sweep):
    raw = {"space": {"optimizer.lr": LR}, "objectives": [NDCG, BYTES], **sweep}
    return StudySettings.model_validate({"sweep": raw})


def test_several_objectives_and_limits():
    limits = {"score_cpu_ms": {"max": 0.5}, "val/recall_at_20": {"min": 0.1}}
    settings = several(objectives=[{"metric": "val/mrr"}, {"metric": "item_vector_bytes"}])
    assert settings.sweep.goals().objectives == (("val/mrr", "max"), ("item_vector_bytes", "min"))
    assert settings.sweep.metric == settings.training.monitor == "val/mrr"
    assert settings.sweep.scheduler.kind == "none"
    settings = several(limits=limits)
    assert settings.sweep.goals().metrics == (NDCG["metric"], BYTES["metric"], *limits)
    assert settings.sweep.goals().costs == ("item_vector_bytes", "score_cpu_ms")
    assert StudySettings.model_validate_json(settings.model_dump_json()) == settings
    single = several(objectives=[], limits=limits).sweep
    assert (single.goals().several, single.goals().plain, single.scheduler.kind) == (
        False,
        False,
        "none",
    )


def test_one_objective_is_the_metric():
    plain = StudySettings.model_validate({"sweep": {"space": {"optimizer.lr": LR}}})
    one = several(objectives=[NDCG])
    assert one.sweep.goals() == plain.sweep.goals()
    assert one.sweep.goals().plain


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"objectives": [BYTES, NDCG]}, r"the first picks .* got item_vector_bytes with mode min"),
        ({"objectives": [NDCG, NDCG]}, r"val/ndcg_at_10 is named twice"),
        ({"objectives": [NDCG, {"metric": "bytes"}]}, r"or item_vector_bytes or score"),
        ({"objectives": [NDCG, {"metric": "test/auc"}]}, r"must be a validation .* 'test/auc'"),
        ({"objectives": [NDCG, {"metric": "val/hr_at_7"}]}, r"val/hr_at_7 needs 7 in training.top"),
        ({"metric": "val/auc"}, r"metric is the first of objectives, got val/auc beside val/ndcg"),
        ({"scheduler": {"kind": "asha"}}, r"scheduler.kind asha compares .* Leave scheduler out"),
        (
            {"objectives": [], "limits": {"val/mrr": {"min": 0.1}}, "scheduler": {"kind": "asha"}},
            r"with limits it would stop trials that can win",
        ),
        ({"search": {"algorithm": "cmaes"}}, r"cmaes knows one objective and no limits"),
        ({"start_from": ["studies/a"]}, r"start_with: \[\{best: \{study: studies/a\}\}\]"),
        ({"budget": {"target": 0.3}}, r"budget.target looks at one value"),
        ({"budget": {"plateau": 3}}, r"budget.plateau looks at one value"),
        ({"limits": {"item_vector_bytes": {}}}, r"a limit needs min, max or both"),
        ({"limits": {"val/mrr": {"min": 2, "max": 1}}}, r"min must not be above max, got 2 and 1"),
        ({"limits": {"bytes": {"max": 1}}}, r"or item_vector_bytes or score_cpu_ms"),
    ],
)
def test_bad_goals_are_refused(sweep, words):
    with pytest.raises(ValidationError, match=words):
        several(**sweep)


def test_a_bad_goal_names_file_and_line(tmp_path):
    text = """
sweep:
  objectives: [{metric: val/ndcg_at_10}, {metric: item_vector_bytes}]
  scheduler: {kind: asha}
  space: {optimizer.lr: [0.1, 0.2]}
"""
    said = message(ConfigError, study(tmp_path, text))
    assert said.startswith(f"{tmp_path / 'study.yaml'}, line 2, sweep: scheduler.kind asha")
    assert said.count("\n") == 0
