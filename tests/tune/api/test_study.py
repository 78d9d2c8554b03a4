"""A search from Python, from its first report to a resumed study."""

import os
import signal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import hbpr
from hbpr.errors import ConfigError, StudyError, StudyFolderError
from tune.storage import given
from tune.storage.folder import StudyFolder

pytestmark = pytest.mark.ray


class Searched(NamedTuple):
    study: hbpr.Study
    events: list[Any]
    frame: pd.DataFrame
    uri: str


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    users, items = np.indices((60, 40)).reshape(2, -1)
    liked = (users % 2 == items % 2) & (rng.random(len(users)) < 0.7)
    return pd.DataFrame({"user": users[liked], "item": items[liked]})


@pytest.fixture(scope="module")
def searched(
    shared_ray: None, module_tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Searched:
    events: list[Any] = []
    frame = _frame()
    study = hbpr.search(
        frame,
        space={"model.n_latent": [4, 8], "optimizer.lr": hbpr.LogUniform(0.01, 0.5)},
        num_trials=4,
        search="random",
        scheduler={"kind": "asha", "grace_period": 2, "reduction_factor": 2},
        base={
            "training": {"n_iter": 4, "eval_every": 2, "early_stopping_patience": 0},
            "mlflow": {"tracking_uri": module_tracking_uri, "experiment_name": "camps"},
        },
        callbacks=[events.append],
        max_concurrent=1,
        storage=tmp_path_factory.mktemp("api") / "studies",
        progress=False,
    )
    return Searched(study, events, frame, module_tracking_uri)


def test_the_study(searched: Searched) -> None:
    study = searched.study
    assert study.finished
    assert not study.interrupted
    frame = study.to_frame()
    assert len(frame) == len(study) == 4
    done = frame[frame["state"] == "COMPLETE"]
    assert study.best_value == done["value"].max()
    assert study.best_settings == study.trials[done["value"].idxmax()].values
    assert study.page is not None
    assert study.page.read_text().startswith("<!doctype html>")
    known = set(searched.frame["item"])
    assert set(study.recommend([3], k=3)["item"]) <= known


def test_every_report_and_every_end_is_told(searched: Searched) -> None:
    reports = [each for each in searched.events if isinstance(each, hbpr.TrialReport)]
    ends = [each for each in searched.events if isinstance(each, hbpr.TrialEnd)]
    trials = {trial.number: trial for trial in searched.study}
    assert {(each.trial, each.epoch): each.value for each in reports} == {
        (number, epoch): value
        for number, trial in trials.items()
        for epoch, value in trial.reports.items()
    }
    assert {each.trial: (each.state, each.value) for each in ends} == {
        number: (trial.state, trial.value) for number, trial in trials.items()
    }
    assert {each.state for each in ends} == {"COMPLETE", "PRUNED"}
    first = reports[0]
    assert first.values == trials[first.trial].values
    assert first.metrics["val/ndcg_at_10"] == first.value
    assert (ends[0].epochs, ends[0].error) == (trials[ends[0].trial].epochs, None)


def test_a_notebook_shows_it(searched: Searched) -> None:
    shown = searched.study._repr_html_()
    assert shown.startswith('<div class="hbpr-study">')
    for text in ("Winner: trial", "val/ndcg_at_10", "popularity", "<svg", str(searched.study.page)):
        assert text in shown
    assert "<html" not in shown


def test_load(searched: Searched) -> None:
    found = hbpr.Study.load(searched.study.folder)
    assert found.record.trials == searched.study.record.trials
    assert (found.best_settings, found.finished) == (searched.study.best_settings, True)
    users = [1, 2]
    pd.testing.assert_frame_equal(found.recommend(users), searched.study.recommend(users))


@pytest.mark.parametrize("reference", ["mlflow:camps", "mlflow:camps/{}"])
def test_load_from_mlflow(searched: Searched, reference: str) -> None:
    study = searched.study
    found = hbpr.Study.load(reference.format(study.study_id), tracking_uri=searched.uri)
    assert found.best_settings == study.best_settings
    assert found.best_value == pytest.approx(study.best_value, abs=1e-6)
    assert {trial.number: trial.value for trial in found} == {
        trial.number: trial.value for trial in study
    }
    found.folder = None  # as on another machine
    users = [1, 2]
    pd.testing.assert_frame_equal(found.recommend(users), study.recommend(users))
    assert "<svg" in found._repr_html_()


def test_load_of_what_is_not_there(searched: Searched, tmp_path: Path) -> None:
    with pytest.raises(StudyFolderError, match="there is no such folder"):
        hbpr.Study.load(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"mlflow:capms: .* has no experiment 'capms'"):
        hbpr.Study.load("mlflow:capms", tracking_uri=searched.uri)
    with pytest.raises(ConfigError, match="expected the folder of a study or mlflow:"):
        hbpr.Study.load(7)  # type: ignore[arg-type]


def test_it_goes_on_with_more_trials(searched: Searched) -> None:
    """The data are those of the folder, as in another process."""
    folder = searched.study.folder
    assert folder is not None
    kept = given.read(folder)
    assert kept is not None
    with pytest.raises(StudyFolderError, match="has come to its result"):
        hbpr.Study.load(folder).resume(progress=False)
    with pytest.raises(ConfigError, match=r"sweep.num_trails: unknown key"):
        hbpr.Study.load(folder).resume(num_trails=5, progress=False)
    other = _frame().iloc[1:]
    with pytest.raises(StudyFolderError, match="other users, items or interactions"):
        hbpr.Study.load(folder).resume(data=other, num_trials=5, progress=False)

    more = hbpr.Study.load(folder).resume(num_trials=5, progress=False)
    assert len(more) == 5
    assert more.trials[:4] == searched.study.trials[:4]

    about = StudyFolder(folder)
    about.data.rename(about.data.with_name("gone"))
    with pytest.raises(StudyFolderError, match=r"given in memory and are not in its folder; give"):
        hbpr.Study.load(folder).resume(num_trials=6, progress=False)
    again = hbpr.Study.load(folder).resume(data=searched.frame, num_trials=6, progress=False)
    assert len(again) == 6


def test_what_a_callback_raises_ends_the_study(
    shared_ray: None, tracking_uri: str, tmp_path: Path
) -> None:
    def give_up(event: Any) -> None:
        raise ZeroDivisionError(f"trial {event.trial}")

    with pytest.raises(ZeroDivisionError, match="trial 0"):
        hbpr.search(
            _frame(),
            space={"model.n_latent": [4, 8]},
            base={
                "training": {"n_iter": 2, "eval_every": 1},
                "mlflow": {"tracking_uri": tracking_uri},
            },
            callbacks=give_up,
            max_concurrent=1,
            storage=tmp_path / "studies",
            progress=False,
        )
    (folder,) = tmp_path.glob("studies/*/*")
    study = hbpr.Study.load(folder)
    assert not study.finished
    with pytest.raises(StudyError, match="has not come to its result"):
        _ = study.winner
    assert "study.resume()" in study._repr_html_()


STOPPED = """
import hbpr

study = hbpr.search(
    {"source": "synthetic", "synthetic": {"n_users": 80, "n_items": 50, "n_shown": 25}},
    base={"training": {"n_iter": 60, "eval_every": 5, "early_stopping_patience": 0}},
    space={"optimizer.lr": hbpr.LogUniform(0.01, 0.5)},
    num_trials=4,
    scheduler="none",
    callbacks=lambda event: print(event.trial, type(event).__name__, flush=True),
    cpus=1,
    progress=False,
)
print("returned", study.interrupted, study.finished, flush=True)
more = study.resume(cpus=1, progress=False)
print("resumed", more.interrupted, more.finished, len(more), flush=True)
"""


@pytest.mark.long
@pytest.mark.usefixtures("tracking_uri")
def test_ctrl_c_returns_what_there_is(terminal: Any, tmp_path: Path) -> None:
    process = terminal.start(tmp_path, program=("-c", STOPPED))
    lines: list[str] = []
    while "0 TrialEnd\n" not in lines:
        line = process.stdout.readline()
        assert line, "".join([*lines, process.stderr.read()])
        lines.append(line)
    os.killpg(process.pid, signal.SIGINT)
    out, err = terminal.end(process)
    assert "returned True False\n" in out
    assert "resumed False True 4\n" in out
    assert "go on with it by study.resume()" in err
