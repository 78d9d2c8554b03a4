"""Models that are solved for over HTTP and as MLflow's pyfunc."""

import pytest

from cluster.serving.app import create_app
from hbpr.data import load_data
from hbpr.inference.system import RecommendationSystem
from hbpr.settings.models import TrialSettings
from hbpr.training import Trainer

from .conftest import asking, load_system

pd = pytest.importorskip("pandas", reason="pyfunc takes data frames")


@pytest.fixture(scope="module", params=["ease", "ials"], name="system")
def _system(request):
    small = {"n_users": 40, "n_items": 30, "n_shown": 15}
    settings = TrialSettings.model_validate(
        {"data": {"source": "synthetic", "synthetic": small}, "model": {"kind": request.param}}
    )
    trainer = Trainer(load_data(settings.data), settings)
    for _ in trainer:
        pass
    return RecommendationSystem(trainer.best_model(), trainer.data, settings)


def test_lists_and_neighbours_are_the_systems(system, tmp_path):
    user, item = system.data.user_ids[3].item(), system.data.item_ids[5].item()
    ask = asking(create_app(load_system(system, tmp_path / "system")))
    listed = ask(f"/recommend/{user}?k=4")[1]["items"]
    assert [each["item"] for each in listed] == system.recommend([user], k=4)["item"].tolist()
    near = ask(f"/similar/{item}?k=4&popularity_discount=0.1")[1]["items"]
    wanted = system.similar_items([item], k=4, popularity_discount=0.1)
    assert [each["item"] for each in near] == wanted["similar_item"].tolist()
    assert ask("/info")[1]["settings"]["model"]["kind"] == system.settings.model.kind


def test_mlflow_loads_what_was_saved(system, tmp_path):
    from hbpr.mlflow_log import _load_pyfunc

    system.save(tmp_path / "system")
    users = system.data.user_ids[:2]
    found = _load_pyfunc(str(tmp_path / "system")).predict(pd.DataFrame({"user": users, "k": 3}))
    expected = system.recommend(users, k=3)
    pd.testing.assert_frame_equal(found.drop(columns="row"), expected, rtol=1e-4)
