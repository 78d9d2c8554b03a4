"""Trials and studies as they were before the modules moved and settings got kinds of their own.

``tests/fixtures/README.md`` says how each of these files was made.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hbpr import RecommendationSystem
from tune.settings import make_plan
from tune.storage.folder import read_settings
from tune.storage.trials import read_journal

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures"
BEFORE = FIXTURES / "format_1"
#: In stored files, the folder that held the study.
PLACE = "@FOLDER@"


#: Experiment and id of each stored study.
STUDIES = {
    "finished": ("before", "20261129-104241-545b"),
    "unfinished": ("half", "20261129-104315-4191"),
}


def copied(name: str, above: Path) -> Path:
    """Copy a study of an earlier version to where a study of the experiment lies."""
    folder = above.joinpath("studies", *STUDIES[name])
    shutil.copytree(BEFORE / name, folder)
    for path in folder.rglob("*"):
        if path.suffix in {".json", ".jsonl", ".log", ".txt"}:
            path.write_text(path.read_text().replace(PLACE, str(above)))
    return folder


def trials_of(folder: Path) -> list[dict[str, Any]]:
    trials = read_journal(folder, make_plan(read_settings(folder)[0]).space)
    return [
        {
            "number": trial.number,
            "values": trial.values,
            "state": trial.state,
            "value": trial.value,
            "reports": {str(epoch): value for epoch, value in trial.reports.items()},
        }
        for trial in trials
    ]


#: Matrix products round otherwise on other processors, and an item may change its place.
ROUNDING = 5e-3


def check(folder: Path, expected: dict[str, Any], within: float = 0.0) -> None:
    found = trials_of(folder)
    assert len(found) == len(expected["trials"])
    for trial, before in zip(found, expected["trials"], strict=True):
        for name in ("number", "values", "state"):
            assert trial[name] == before[name]
        assert trial["value"] == pytest.approx(before["value"], rel=0, abs=within)
        assert trial["reports"] == pytest.approx(before["reports"], rel=0, abs=within)
    metrics = RecommendationSystem.load(folder).metrics
    wanted = expected["test"] | {"val/ndcg_at_10": expected["validation"]["val/ndcg_at_10"]}
    chosen = {name: metrics[name] for name in wanted}
    assert chosen == pytest.approx(wanted, rel=1e-6, abs=within)


@pytest.mark.ray
@pytest.mark.slow
def test_the_quickstart_gives_the_same_trials_values_and_winner(
    tmp_path: Path, terminal: Any
) -> None:
    one = ("--cpus", "1", "--no-progress", "--set", "sweep.max_concurrent=1")
    terminal.run(tmp_path, "tune", str(ROOT / "configs" / "quickstart.yaml"), *one)
    (folder,) = tmp_path.glob("studies/quickstart/*")
    check(folder, json.loads((FIXTURES / "quickstart.json").read_text()), ROUNDING)


@pytest.mark.ray
@pytest.mark.slow
def test_an_unfinished_study_of_an_earlier_version_ends_as_it_would_have(
    tmp_path: Path, terminal: Any
) -> None:
    folder = copied("unfinished", tmp_path)
    terminal.run(tmp_path, "study", "resume", str(folder), "--cpus", "1", "--no-progress")
    check(folder, json.loads((BEFORE / "unfinished-result.json").read_text()))


def test_a_finished_study_of_an_earlier_version_is_listed_and_shown(
    tmp_path: Path, terminal: Any
) -> None:
    folder = copied("finished", tmp_path)
    listed, _ = terminal.run(tmp_path, "study", "list")
    shown, _ = terminal.run(tmp_path, "study", "show", str(folder))
    assert folder.name in listed
    assert "finished" in listed
    assert len(trials_of(folder)) == 6
    assert "Winner: trial 0" in shown


@pytest.mark.parametrize("name", ["finished", "unfinished"])
def test_a_study_whose_space_would_be_refused_today_is_still_read(
    tmp_path: Path, terminal: Any, name: str
) -> None:
    folder = copied(name, tmp_path)
    path = folder / "settings.json"
    stored = json.loads(path.read_text())
    del stored["settings"]["sweep"]["space"]["training.negatives.observed"]["when"]
    path.write_text(json.dumps(stored))
    listed, _ = terminal.run(tmp_path, "study", "list")
    assert name in listed
    terminal.run(tmp_path, "study", "show", str(folder))
    _, refused = terminal.run(tmp_path, "study", "resume", str(folder), code=2)
    assert f"{folder}: the study cannot go on" in refused


def test_a_model_of_an_earlier_version_recommends(tmp_path: Path) -> None:
    system = RecommendationSystem.load(copied("finished", tmp_path))
    (best, *_) = trials_of(BEFORE / "finished")
    assert system.metrics["val/ndcg_at_10"] == pytest.approx(best["value"])
    lists = system.recommend([0, 1, 2], k=5)
    assert len(lists) == 15
