"""What comes from outside is trained, evaluated and compared like what is there."""

import pytest
from pydantic import ValidationError

from hbpr.baselines import BASELINES, Popularity
from hbpr.baselines.choose import choose_baselines
from hbpr.data import load_data
from hbpr.data.sources import SOURCES
from hbpr.errors import EngineError
from hbpr.evaluation import evaluate_part
from hbpr.names import METRICS, parse_metric_name
from hbpr.settings.models import DataSettings, TrainingSettings, TrialSettings
from hbpr.training import Trainer
from hbpr.training.losses import LOSSES
from tune.settings import StudySettings

pytestmark = pytest.mark.usefixtures("outside")


def _settings(**training) -> TrialSettings:
    loop = {"loss_function": "squared_hinge", "n_iter": 30, "eval_every": 10, "top_k": (5, 10)}
    return TrialSettings.model_validate(
        {
            "data": {"source": "two_camps"},
            "model": {"n_latent": 8},
            "training": {**loop, "batch_size": 64, **training},
        }
    )


@pytest.mark.parametrize("engine", ["fused", "autograd"])
@pytest.mark.parametrize("per_positive", [1, 3])
def test_they_train_and_evaluate_end_to_end(engine: str, per_positive: int) -> None:
    settings = _settings(engine=engine, negatives={"per_positive": per_positive})
    data = load_data(settings.data)
    assert data.name == "camps"
    trainer = Trainer(data, settings)
    reports = list(trainer)
    assert trainer.engine_name == engine
    assert reports[-1].loss < reports[0].loss
    found = evaluate_part(trainer.best_model(), data, "test", (5,))
    popular = evaluate_part(Popularity(data.seen()), data, "test", (5,))
    assert found.metrics["test/ndcg_at_5"] > 1.5 * popular.metrics["test/ndcg_at_5"]
    assert found.metrics["test/first_rank"] == found.ranks.ranks[found.ranks.indptr[:-1]].mean()
    assert "val/first_rank" in reports[-1].metrics
    for baseline in choose_baselines(data, settings.training):
        beside = evaluate_part(baseline.fit(data.seen()), data, "test", (5,)).metrics
        assert beside.keys() == found.metrics.keys()
        if baseline.name == "constant":
            assert baseline.label == "by number"
            assert beside["test/ndcg_at_5"] < found.metrics["test/ndcg_at_5"]
            break
    else:
        pytest.fail("the baseline from outside is not among those chosen")


def test_features_and_threads_go_through_the_other_loops() -> None:
    plain = _settings(engine="fused", n_iter=5, eval_every=5)
    data = load_data(plain.data.model_copy(update={"source": "two_camps"}))
    losses = {}
    for threads in (1, 2):
        losses[threads] = [report.loss for report in Trainer(data, plain, threads=threads)]
        assert losses[threads][-1] < losses[threads][0]
    synthetic = DataSettings(source="synthetic", item_feature="both", user_feature="both")
    reports = list(Trainer(load_data(synthetic), plain))
    assert reports[-1].loss < reports[0].loss


def test_a_loss_without_fused_gradient_is_never_trained_as_another() -> None:
    settings = _settings(loss_function="squared_hinge_torch", n_iter=2)
    data = load_data(settings.data)
    trainer = Trainer(data, settings)
    assert trainer.engine_name == "autograd"
    words = "training.loss_function squared_hinge_torch has no fused gradient"
    assert trainer.engine_reason == f"fused does not fit: {words}"
    fused = _settings(loss_function="squared_hinge_torch", engine="fused")
    with pytest.raises(EngineError, match=words):
        Trainer(data, fused)


def test_settings_list_them() -> None:
    schema = TrialSettings.model_json_schema()["$defs"]
    source = schema["DataSettings"]["properties"]["source"]
    loss = schema["TrainingSettings"]["properties"]["loss_function"]
    assert "two_camps" in source["anyOf"][0]["enum"]
    assert "squared_hinge" in loss["anyOf"][0]["enum"]
    assert parse_metric_name("test/first_rank") == ("test", "first_rank", None)


def test_the_facts_of_a_source_are_kept_to() -> None:
    assert load_data(DataSettings(source="two_camps", split={"kind": "temporal"})).test.n_pairs
    with pytest.raises(ValidationError, match="two_camps camps has no published test part"):
        DataSettings(source="two_camps", split={"kind": "fixed", "name": "u1"})


def test_a_metric_that_is_better_when_lower_picks_no_epoch() -> None:
    with pytest.raises(ValidationError, match=r"better when higher.*got 'val/first_rank'"):
        TrainingSettings(monitor="val/first_rank")


def test_no_study_maximises_it() -> None:
    def study(**sweep) -> StudySettings:
        space = {"model.n_latent": [4, 8]}
        return StudySettings.model_validate({"sweep": {"space": space, **sweep}})

    with pytest.raises(ValidationError, match=r"better when higher.*got 'val/first_rank'"):
        study(metric="val/first_rank")
    first = {"metric": "val/ndcg_at_10"}
    found = study(objectives=[first, {"metric": "val/first_rank"}])
    assert found.sweep.goals().objectives[1].mode == "min"
    with pytest.raises(ValidationError, match="mode must be min: val/first_rank is better when"):
        study(objectives=[first, {"metric": "val/first_rank", "mode": "max"}])


def test_a_taken_name_is_refused(outside) -> None:
    for table, name, entry in outside.ENTRIES:
        with pytest.raises(ValueError, match=f"{name} is in the table already"):
            table.add(name, entry)


def test_what_is_taken_out_is_unknown(outside) -> None:
    outside.remove()
    for table in (LOSSES, METRICS, SOURCES, BASELINES):
        assert not {name for _, name, _ in outside.ENTRIES} & set(table)
    with pytest.raises(ValidationError, match="squared_hinge"):
        TrainingSettings(loss_function="squared_hinge")
    outside.add()
