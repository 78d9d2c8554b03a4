"""What would let the easiest exam win is no dimension of a search."""

import numpy as np
import pytest

from hbpr.cli.main import cli, run
from hbpr.data import UserItemData
from hbpr.errors import ConfigError, SpaceError
from hbpr.pipeline import TrainingPipeline
from hbpr.settings.models import TrialSettings
from tune.settings import StudySettings, plan_of_started
from tune.space import Space
from tune.space.check import check_space
from tune.space.parse import searchable_keys
from tune.trial.data import check_same_exam, data_key

BASE = TrialSettings()


@pytest.mark.parametrize(
    "raw",
    [
        {"data.candidates": ["all", "observed"]},
        {"data.rating_threshold": {"low": 2.0, "high": 4.0, "step": 1.0}},
        {"data.split.seed": {"low": 0, "high": 3}},
        {"data.split.train": [0.6, 0.8]},
        {"data.split": [{"kind": "random"}, {"kind": "temporal"}]},
        {"data.table.min_per_user": [1, 5]},
        {"data.synthetic.n_items": [50, 100]},
        {"data.name": ["ml-100k", "ml-1m"]},
        {"data": [{"item_feature": "both"}, {"rating_threshold": 2.0}]},
        {
            "optimizer.lr": [0.1],
            "data.candidates": {"choices": ["all"], "when": {"optimizer.lr": 0.1}},
        },
    ],
)
def test_what_changes_the_exam_is_refused(raw):
    *_, key = raw
    with pytest.raises(SpaceError) as caught:
        check_space(Space.parse(raw), BASE)
    message = str(caught.value)
    assert message.startswith(f"{key}: not searchable: ")
    assert "the trial with the easiest exam would win, got " in message
    assert "Set one value under data, or run a study for each" in message


def test_how_it_is_measured_is_refused():
    with pytest.raises(
        SpaceError, match=r"training\.top_k: not searchable: it changes what is mea"
    ):
        check_space(Space.parse({"training.top_k": [[10], [10, 20]]}), BASE)
    whole = {"training": [{"n_iter": 3}, {"top_k": [5, 10]}]}
    with pytest.raises(SpaceError, match=r"training: .* its choices name training\.top_k, which"):
        check_space(Space.parse(whole), BASE)


def test_features_and_weights_can_be_searched():
    keys = [key for key in searchable_keys() if key.startswith("data.")]
    assert {"data.item_feature", "data.user_feature"} <= set(keys)
    assert any(key.startswith("data.table.weight") for key in keys)
    assert all("feature" in key or "weight" in key for key in keys)
    both = {"data.item_feature": ["indicator", "both"], "data": [{"user_feature": "both"}]}
    for key, values in both.items():
        assert check_space(Space.parse({key: values}), BASE)


def test_the_place_comes_first_and_the_exit_code_is_2(tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text("sweep:\n  space:\n    data.candidates: [all, observed]\n")
    for command in (["config", "check"], ["tune"]):
        assert run(cli, [*command, str(path)]) == 2
        said = capsys.readouterr().err
        assert f"{path}, line 3, data.candidates: not searchable: it changes what val" in said
        assert "got 'all', 'observed'" in said


def test_the_facade_has_the_same_rule():
    pipeline = TrainingPipeline({"data": {"source": "synthetic"}})
    with pytest.raises(SpaceError, match=r"data\.split\.seed: not searchable"):
        pipeline.run_grid_search(param_grid={"data.split.seed": [0, 1]})


def test_a_study_from_before_is_still_read():
    settings = StudySettings(sweep={"space": {"data.split.seed": [0, 1], "optimizer.lr": [0.1]}})
    assert plan_of_started(settings).space.keys == {"data.split.seed", "optimizer.lr"}


def test_a_feature_table_that_brings_items_changes_the_exam():
    def dataset(more: int):
        data = UserItemData("shop")
        users, items = np.divmod(np.arange(200), 10)
        data.add_positive_interactions(users, items + users % 3)
        data.add_item_features(np.arange(12 + more), np.arange(12 + more))
        return data.to_interactions()

    settings = [
        BASE.data.model_copy(update={"item_feature": each}) for each in ("both", "metadata")
    ]
    check_same_exam({data_key(each): dataset(0) for each in settings})
    with pytest.raises(ConfigError) as caught:
        check_same_exam({data_key(each): dataset(n) for n, each in enumerate(settings)})
    assert str(caught.value).startswith("sweep.space: data.item_feature: the values differ in what")
    assert "among 12 items" in str(caught.value)
