import dataclasses

import pytest

from hbpr.data import load_data
from hbpr.errors import ConfigError
from hbpr.settings.load import with_values
from tune.forecast.estimate import Estimate, Measured, _largest, _short_trial, estimate, mean_epochs
from tune.settings import make_plan

MEASURED = Measured(10, train_s=0.2, eval_s=0.5, start_s=0.25, memory_bytes=300 * 2**20)

ESTIMATE = Estimate(
    values={"model.n_latent": 64},
    measured=MEASURED,
    data_bytes=2**20,
    n_trials=10,
    epochs=30,
    mean_epochs=10.0,
    eval_every=5,
    by_cpu=4,
    by_memory=8,
    wall_limit_s=None,
    n_repeats=9,
)


def test_trials_run_in_rounds() -> None:
    assert ESTIMATE.at_a_time == 4
    assert ESTIMATE.wall_s(10.0) == pytest.approx(3 * (0.3 + 10 * 0.3))
    limited = dataclasses.replace(ESTIMATE, wall_limit_s=5.0)
    assert limited.wall_s(10.0) == 5.0
    tight = dataclasses.replace(ESTIMATE, by_memory=2)
    assert tight.at_a_time == 2
    assert "sweep.max_concurrent to 2" in tight.lines()[-1]
    assert any("300 MiB a trial" in line for line in ESTIMATE.lines())


def test_finalists_and_the_last_training_are_reckoned_apart() -> None:
    trial_s = 0.3 + 30 * 0.3
    assert ESTIMATE.final_s == pytest.approx(3 * trial_s + 30 * 0.2)
    alone = dataclasses.replace(ESTIMATE, n_repeats=0)
    assert alone.final_s == pytest.approx(30 * 0.2)
    (wall,) = (line for line in ESTIMATE.lines() if line.startswith("Wall time"))
    assert wall.endswith("then at most 34 s for 9 runs of finalists and the last training")
    (wall,) = (line for line in alone.lines() if line.startswith("Wall time"))
    assert wall.endswith("if none is stopped early; then at most 6 s for the last training")


def test_halving_shortens_the_mean_trial(small_study) -> None:
    # The first of four goes on, and each later one with a chance of one half: 2.5 of four.
    asha = {"kind": "asha", "grace_period": 5, "reduction_factor": 2.0}

    def mean(n_iter: int, **sweep) -> float:
        return mean_epochs(make_plan(small_study(sweep, training={"n_iter": n_iter})))

    assert mean(10, scheduler=asha) == pytest.approx(5 + 5 * 0.625, rel=0.02)
    assert mean(10, scheduler=asha, num_trials=1) == 10
    assert mean(30) == 30


@pytest.mark.parametrize(
    ("kind", "n_trials", "seen"),
    # Mean epochs of a trial in real searches with tpe on MovieLens 100k, one process.
    [("asha", 96, 7.8), ("hyperband", 24, 24.7)],
)
def test_the_mean_trial_is_that_of_real_searches(
    small_study, kind: str, n_trials: int, seen: float
) -> None:
    scheduler = {"kind": kind, "grace_period": 2, "reduction_factor": 4.0}
    sweep = {"scheduler": scheduler, "num_trials": n_trials}
    found = mean_epochs(make_plan(small_study(sweep, training={"n_iter": 60})))
    assert found == pytest.approx(seen, rel=0.3)


def test_the_largest_model_is_tried(small_study) -> None:
    plan = make_plan(small_study())
    values = _largest(plan.space, plan.base)
    assert values["model.n_latent"] == 8
    assert _largest(plan.space, plan.base) == values
    negatives = {f"training.negatives.{key}": [1, 2, 4] for key in ("per_positive", "hardest_of")}
    plan = make_plan(small_study({"space": {"model.n_latent": [4, 8]} | negatives}))
    values = _largest(plan.space, plan.base)
    assert list(values.values()) == [8, 4, 4]


@pytest.mark.parametrize("n_iter", [2, 3, 8])
def test_a_short_trial(small_study, n_iter: int) -> None:
    pytest.importorskip("ray")  # brings psutil
    settings = with_values(make_plan(small_study()).base, {"training.n_iter": n_iter})
    found = _short_trial(settings, load_data(settings.data), 1)
    assert 1 <= found.epochs <= n_iter
    assert found.train_s > 0
    assert found.eval_s > 0
    assert found.memory_bytes > 2**20


@pytest.mark.ray
@pytest.mark.usefixtures("shared_ray")
def test_nothing_is_recorded(small_study, tmp_path) -> None:
    found = estimate(make_plan(small_study({"max_concurrent": None})))
    assert found.by_cpu == 2
    assert found.by_memory >= 1
    assert found.n_trials == 4
    assert found.n_repeats == 0
    assert not (tmp_path / "mlflow.db").exists()
    assert not list(tmp_path.glob("studies/*/*"))


def test_what_a_study_would_refuse_at_its_start_is_refused(small_study) -> None:
    with pytest.raises(ConfigError, match=r"start_from: .*nowhere: there is no such folder"):
        estimate(make_plan(small_study({"start_from": ["nowhere"]})))
