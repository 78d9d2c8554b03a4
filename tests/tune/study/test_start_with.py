"""A study that starts from another one, in a real Ray."""

import pytest

from tune.study import run_study

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("shared_ray", "tracking_uri")]


def test_a_study_starts_where_another_one_ended(small_study):
    first = run_study(small_study(), progress=False)
    best = first.best.values
    again = run_study(
        small_study(
            {
                "start_with": [{"best": {"study": str(first.folder)}}, {"model.n_latent": 4}],
                "start_from": [str(first.folder)],
                "constraints": ["model.n_latent * optimizer.lr < 3.9"],
                "num_trials": 3,
            }
        ),
        progress=False,
    )
    assert [trial.number for trial in again.trials] == [0, 1, 2]
    assert again.trials[0].values == best
    assert again.trials[0].value == pytest.approx(first.best.value)
    assert again.trials[1].values["model.n_latent"] == 4
    assert all(t.values["model.n_latent"] * t.values["optimizer.lr"] < 3.9 for t in again.trials)
