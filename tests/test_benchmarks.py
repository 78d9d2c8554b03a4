"""The benchmark programs: they start, and hbpr's side runs. No peer, and no time is asserted."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hbpr.settings.models import TrialSettings

HERE = Path(__file__).parent / "benchmarks"
PROGRAMS = (
    "environments", "train_speed", "evaluation_speed", "quality", "time_to_ease",
    "quality_vs_cost", "scaling", "report", "serve_load", "batch_speed", "new_users",
)  # fmt: skip

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Load]:
    """Import a program by name, with its files in the test's folder; forget it afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(HERE / "sides"))
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(importlib.import_module("environments"), "HOME", tmp_path)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(HERE) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def run(program: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [program.__name__, *arguments])
    program.main()


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_explains_its_options(
    name: str, load: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(load(name), monkeypatch, "--help")
    assert exit_.value.code == 0
    assert "--help" in capsys.readouterr().out


def test_generated_pairs_are_distinct_counted_and_seeded(load: Load) -> None:
    shapes = load("shapes")
    pairs = shapes.long_tailed(300, 200, 5000, seed=3)
    assert (pairs.n_users, pairs.n_items, pairs.n_pairs) == (300, 200, 5000)
    keys = pairs.users().astype(np.int64) * 200 + pairs.items
    assert len(np.unique(keys)) == 5000
    assert (shapes.long_tailed(300, 200, 5000, seed=3).items == pairs.items).all()
    counts = np.sort(np.bincount(pairs.items, minlength=200))[::-1]
    assert counts[:20].sum() > counts[-100:].sum()  # a long tail


def test_cpu_time_of_the_driver_is_told_by_trial(load: Load) -> None:
    trivial = load("trivial_trials")
    # Trials of a second; the driver works a tenth of the time, and all of it from the sixth on.
    found = {
        "ends": [float(i) for i in range(1, 11)],
        "driver": [[0.0, 10**8, 5.0], [6.0, 10**8, 5.6], [10.0, 10**8, 9.6]],
    }
    assert trivial.driver_cpu(found, 1, 5) == pytest.approx(0.1)
    assert trivial.driver_cpu(found, 6, 10) == pytest.approx(1.0)
    assert trivial.driver_cpu({**found, "driver": []}, 6, 10) is None


def test_a_study_of_sleeping_trials_is_judged_part_by_part(load: Load) -> None:
    trivial = load("trivial_trials")
    ends = [1.0 + 0.1 * i for i in range(12)] + [2.1 + 0.2 * i for i in range(1, 13)]
    found = {
        "first": 0.0,
        "ends": ends,
        "work": [[at, 1.0, 0.5] for at in ends],
        "driver": [[0.0, 10**8, 1.0], [ends[-1], 3 * 10**8, 2.0]],
        "runs": {"FINISHED": 24},
        "states": {},
        "started": -5.0,
        "returned": 6.0,
    }
    judged = trivial.judge(found, argparse.Namespace(cpus=4, sleep=True))
    assert judged["part"] == 8
    assert judged["seconds_a_result"] == pytest.approx([0.1, 0.2])
    first, last = judged["driver_mb_by_part"]
    assert 100 < first < last < 300
    assert judged["wall_s"] == pytest.approx(4.5)
    assert judged["bar"] == "≤ 6.9 s"  # 24 trials on 4 slots, 715 s of 625
    text = trivial.describe(judged)
    assert "seconds a result, 8 by 8 | 0.1000, 0.2000" in text


def test_a_written_dataset_reads_back(load: Load) -> None:
    shapes = load("shapes")
    path = shapes.prepare("tiny")
    data = shapes.read(path)
    assert data.train.n_pairs + data.validation.n_pairs + data.test.n_pairs == shapes.TINY[2]
    assert data.user_features.is_identity
    assert shapes.read(path, held_out=False).test.n_pairs == 0


def test_training_speed_of_one_side(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "speed.json"
    arguments = ["--datasets", "tiny", "--sides", "hbpr fused sgd", "LightFM", "--threads", "1"]
    run(
        load("train_speed"), monkeypatch, *arguments, "--pairs", "1", "--seconds", "0",
        "--output", str(output),
    )  # fmt: skip
    written = json.loads(output.read_text())
    [answer] = written["found"]["tiny"]["1"]["hbpr fused sgd"]
    assert answer["triples_per_s"] > 0
    assert answer["peak_bytes"] >= answer["base_bytes"] > 0
    assert "**LightFM** (threads: 1) is missing: not installed" in written["text"]


def test_hbprs_side_trains_and_evaluates_vectors(load: Load) -> None:
    side, common = load("run_hbpr"), load("common")
    data = common.Data(str(load("shapes").prepare("tiny")))
    epochs = []
    settings = {"model": {"n_latent": 4, "item_bias": False}, "epochs": 2}
    side.train(data, settings, 1, lambda wall, cpu, vectors: epochs.append(vectors()))
    assert len(epochs) == 2
    users, items, biases = epochs[-1]
    assert (users.shape, items.shape, biases.shape) == ((60, 4), (40, 4), (40,))
    metrics = side.make_evaluation(data, {}, epochs[-1], 1)()
    assert 0.0 < metrics["test/ndcg_at_10"] <= 1.0


SIDE_THAT_GETS_WORSE = """
import numpy as np
from common import main

def train(data, settings, threads, after_epoch):
    popularity = np.bincount(data.arrays["validation_items"], minlength=data.n_items)
    ones = np.ones((data.n_users, 1), np.float32)
    for epoch in range(1, settings["epochs"] + 1):
        items = (popularity[:, None] * (1 if epoch == 2 else -1)).astype(np.float32)
        after_epoch(0.1, 0.1, lambda: (ones, items, np.zeros(data.n_items, np.float32)))

main(train)
"""


def test_every_library_stops_by_the_same_rule(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quality, shapes = load("quality"), load("shapes")
    program = tmp_path / "side.py"
    program.write_text(
        f"import sys; sys.path.append({str(HERE / 'sides')!r})\n{SIDE_THAT_GETS_WORSE}"
    )
    monkeypatch.setattr(
        quality.harness,
        "command",
        lambda library, task, request: [sys.executable, str(program), task, json.dumps(request)],
    )
    path = shapes.prepare("tiny")
    rule = quality.Rule(max_epochs=100, eval_every=2, patience=2)
    fit = quality.fit("cornac", {}, shapes.read(path), path, rule, on_test=True)
    assert fit.failed is None
    assert (fit.best_epoch, fit.epochs) == (2, 6)
    assert fit.train_cpu_s == pytest.approx(0.6)
    assert 0.0 < fit.test <= 1.0


def test_every_space_draws_settings_its_side_takes(load: Load) -> None:
    spaces = load("quality").SPACES
    assert {"hbpr", "hbpr listwise", "implicit", "implicit ALS", "cornac", "lightfm"} == set(spaces)
    for draw in spaces.values():
        first, second = (draw(np.random.default_rng(seed)) for seed in (0, 1))
        assert first != second
        assert first == draw(np.random.default_rng(0))
        json.dumps(first)
    for seed in range(20):
        for name in ("hbpr", "hbpr listwise"):
            TrialSettings.model_validate(spaces[name](np.random.default_rng(seed)))


def test_time_to_ease_and_quality_against_cost(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    output = tmp_path / "ease.json"
    time = ["--datasets", "tiny", "--rounds", "1", "--output", str(output)]
    run(load("time_to_ease"), monkeypatch, *time)
    found = json.loads(output.read_text())["found"]["tiny"]
    assert [row[0] for row in found["rows"]] == ["EASE", "hbpr"]
    assert found["seconds"]["EASE"][0] > 0
    figure, sides = tmp_path / "cost.svg", ["hbpr, listwise shared 256", "lightfm WARP"]
    run(
        load("quality_vs_cost"), monkeypatch, "--datasets", "tiny", "--max-epochs", "2",
        "--sides", *sides, "--figure", str(figure), "--output", str(output),
    )  # fmt: skip
    assert figure.stat().st_size > 0
    assert "**lightfm WARP** is missing: not installed" in json.loads(output.read_text())["text"]


def test_ratios_are_taken_pair_by_pair_against_the_fastest(load: Load) -> None:
    def runs(*speeds: float) -> list[dict[str, float]]:
        return [{"triples_per_s": s, "triples_per_cpu_s": s} for s in speeds]

    answers = {
        "hbpr fused sgd": runs(10, 12),
        "implicit": runs(5, 3),
        "cornac": [{"missing": "not installed"}],
    }
    [(title, wall, cpu)] = load("train_speed").ratios({"1": answers})
    assert title.startswith("fused sgd / fastest")
    assert wall == cpu == [2.0, 4.0]


def test_a_report_says_what_is_missing(load: Load) -> None:
    text = load("report").compose({}, "2026-01-01", quick=False)
    assert "**implicit is missing**" in text
    assert "not measured" in text
    assert str(HERE.parents[1]) not in text


def test_large_files_of_both_kinds_become_the_same(
    load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = load("large_files")
    monkeypatch.setattr(program, "USERS", 50)
    monkeypatch.setattr(program, "CHUNK", 700)
    program.write(tmp_path, 2000)
    found = [program.read("hbpr", tmp_path / f"t.{kind}") for kind in program.FORMATS]
    assert found[0]["rows"] == found[1]["rows"] > 500
    assert all(each["peak_mb"] > 0 for each in found)


def test_reading_and_drawing_many_runs_is_measured(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = load("plotter_speed")
    monkeypatch.setattr(program, "opened", lambda page: None)
    found = program.measure(tmp_path, 12, 4)
    assert found["page_mb"] < program.GOALS["page_mb"]
    assert all(found[name] > 0 for name in ("get_runs", "plot", "report"))
