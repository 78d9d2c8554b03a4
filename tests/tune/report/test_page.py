import dataclasses
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from hbpr.tracking.records import TrialRecord
from hbpr.tracking.registry import Registered
from tune.answer.early_order import RankCorrelation
from tune.answer.finalists import Comparison, Finalist
from tune.answer.result import StudyResult
from tune.report.page import early_line, metric_heads, metric_rows, render, write_page
from tune.report.terminal import show, write_text
from tune.settings.goals import Goals, Limit, Objective

METRICS = ("precision", "recall", "ndcg")

TRIALS = [
    TrialRecord(0, {"optimizer.lr": 0.1}, "COMPLETE", 0.2, {2: 0.2}, None),
    TrialRecord(1, {"optimizer.lr": 0.3}, "PRUNED", 0.1, {2: 0.1}, None),
    TrialRecord(2, {"optimizer.lr": 0.2}, "COMPLETE", 0.4, {2: 0.4}, None),
    TrialRecord(3, {"optimizer.lr": 9.0}, "FAIL", None, {}, None),
]


@pytest.fixture
def result(tmp_path: Path) -> StudyResult:
    return StudyResult(
        study_id="s1",
        folder=tmp_path,
        experiment="films <&>",
        tracking_uri="http://ann:secret@mlflow.local:5000",
        run_id=None,
        view=None,
        metric="val/auc",
        trials=TRIALS,
        best=TRIALS[2],
        validation_metrics={"val/auc": 0.4},
        test_metrics={"test/auc": 0.35},
        baseline_metrics={"val/auc": 0.2, "test/auc": 0.15},
        system=None,  # type: ignore[arg-type]
        model_folder=tmp_path / "model",
        wall_s=75.0,
        search_s=50.0,
        busy_cpu_s=80.0,
        cpus=2.0,
        ease_metrics={"val/auc": 0.3, "test/auc": 0.25},
        epochs=6,
        finalists=[Finalist(2, (0.39, 0.41), 0.4, 0.014, 6, {"val/auc": 0.4})],
        comparisons=[Comparison("popularity", 0.2, 0.1, 0.3, 0.001, 80)],
        importance={"val/auc": {"optimizer.lr": 1.0}},
        early=[RankCorrelation(2, 0.75, 9), RankCorrelation(6, 0.9, 2)],
        ended="sweep.budget.wall_s: trials ran for 50 s",
        registered=Registered("films", "4", "3"),
        notes=["MLflow did not answer for 12 s; all records have arrived"],
    )


class Tags(HTMLParser):
    """Collects the text, and sees that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all("http" not in (value or "") for _, value in attrs), "it needs nothing beside it"
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data}\n"


def test_the_page_is_whole_and_says_it_all(result: StudyResult, tmp_path: Path) -> None:
    write_page(result, TRIALS, tmp_path / "summary.html")
    parser = Tags()
    parser.feed((tmp_path / "summary.html").read_text())
    assert parser.open == []
    for words in (
        "films <&>",
        "4 trials (2 finished, 1 pruned, 1 failed) in 1 min 15 s",
        "Ended by sweep.budget.wall_s",
        "MLflow did not answer for 12 s",
        "Winner: trial 2",
        "EASE",
        "0.2500",
        "+0.2000 (95 % +0.1000 to +0.3000",
        "What mattered",
        "0.75 at epoch 2 (9 trials)",
        "trial 1: 0.1000, pruned",
    ):
        assert words in parser.text, words
    assert "secret" not in parser.text


def test_the_text_says_the_same(result: StudyResult, tmp_path: Path) -> None:
    write_text(result, tmp_path / "summary.txt")
    said = (tmp_path / "summary.txt").read_text()
    for words in (
        "Ended by sweep.budget.wall_s",
        "Finalists",
        "p = 0.001",
        "Mattered optimizer.lr 100%",
        "models:/films/4; the champion stays version 3",
    ):
        assert words in said, words
    assert "secret" not in said


def test_the_columns_of_the_metrics_stand_under_their_part(result: StudyResult) -> None:
    assert metric_heads(result) == [
        (part, who) for part in ("validation", "test") for who in ("winner", "popularity", "EASE")
    ]
    assert metric_rows(result) == [
        ("auc", "0.4000", "0.2000", "0.3000", "0.3500", "0.1500", "0.2500")
    ]
    page = render(result, TRIALS)
    assert (
        '<th></th><th class="group" colspan="3">validation</th>'
        '<th class="group" colspan="3">test</th>'
    ) in page
    assert '<th>metric</th><th class="starts">winner</th><th>popularity</th><th>EASE</th>' in page
    lines = _shown(result).splitlines()
    (parts,) = (i for i, line in enumerate(lines) if "validation" in line and "test" in line)
    words = lines[parts + 1].replace("┃", " ").split()
    assert words == ["metric", *2 * ["winner", "popularity", "EASE"]]


def test_without_a_test_part_there_is_no_column_of_it(result: StudyResult) -> None:
    bare = dataclasses.replace(result, test_metrics={}, ease_metrics={})
    assert metric_heads(bare) == [("validation", "winner"), ("validation", "popularity")]
    assert metric_rows(bare) == [("auc", "0.4000", "0.2000")]


def test_what_mattered_is_told_for_each_objective(result: StudyResult) -> None:
    shares = {"val/auc": {"optimizer.lr": 1.0}, "item_vector_bytes": {"model.n_latent": 0.996}}
    several = dataclasses.replace(result, importance=shares)
    page = render(several, TRIALS)
    for metric, words in shares.items():
        assert f"<h2>What mattered to {metric}</h2>" in page
        assert f"Mattered to {metric}: {next(iter(words))} 100%" in _shown(several)
    assert several.as_json()["importance"] == shares


def _shown(result: StudyResult) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    show(result, console)
    return console.export_text()


def test_few_trials_have_no_chart_and_no_correlation(result: StudyResult) -> None:
    bare = dataclasses.replace(result, early=[RankCorrelation(2, 1.0, 3)], importance={})
    assert early_line(bare) is None
    assert "<polyline" not in render(bare, TRIALS[3:])


def test_a_front_and_its_limits(result: StudyResult, tmp_path: Path) -> None:
    goals = Goals(
        (Objective("val/auc", "max"), Objective("item_vector_bytes", "min")),
        (Limit("score_cpu_ms", None, 0.5),),
    )
    sizes = [1600.0, None, 6400.0, None]
    trials = [
        trial
        if size is None
        else dataclasses.replace(
            trial,
            measured={
                2: {
                    "val/auc": trial.value,
                    "item_vector_bytes": size,
                    "score_cpu_ms": 0.25 if trial.number else 0.75,
                }
            },
        )
        for trial, size in zip(result.trials, sizes, strict=True)
    ]
    several = dataclasses.replace(
        result, goals=goals, trials=trials, best=trials[2], front=[trials[2]]
    )
    parser = Tags()
    parser.feed(render(several, TRIALS))
    assert parser.open == []
    write_text(several, tmp_path / "summary.txt")
    said = " ".join((tmp_path / "summary.txt").read_text().split())
    for words in (
        "Pareto front: 1 of 4 trials; the champion is trial 2, by val/auc",
        "score_cpu_ms: {max: 0.5} (winner 0.2500); 1 of 4 trials are outside",
        "6,400",
    ):
        assert words in " ".join(parser.text.split()), words
        assert words in said, words
    assert "trial 0: val/auc 0.2000, item_vector_bytes 1,600, score_cpu_ms 0.7500" in parser.text
    assert several.as_json()["front"][0]["measured"] == trials[2].at_best


def test_the_metrics_fit_a_terminal_of_80_columns(result: StudyResult) -> None:
    names = [
        f"{part}/{name}_at_{k}" for part in ("val", "test") for name in METRICS for k in (10, 20)
    ]
    metrics = dict.fromkeys(names, 0.25)
    result = dataclasses.replace(
        result,
        validation_metrics=metrics,
        test_metrics=metrics,
        baseline_metrics=metrics,
        ease_metrics=metrics,
    )
    text = _shown(result)
    assert all(f"{name}_at_{k}" in text for name in METRICS for k in (10, 20))
    assert "…" not in text
