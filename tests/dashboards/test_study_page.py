import dataclasses
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from dashboards.study_page import draw_search, study_page
from dashboards.words import early_line, metric_heads, metric_rows
from hbpr.tracking.findings import (
    BaselineRecord,
    Comparison,
    Effect,
    Finalist,
    Findings,
    Importance,
    RankCorrelation,
    Winner,
)
from hbpr.tracking.goals import Goals, Limit, Objective
from hbpr.tracking.records import Identity, StudyRecord, Times, Tracking, TrialRecord
from hbpr.tracking.registry import Registered
from tune.report.note import study_note
from tune.report.summary import write_page
from tune.report.terminal import show, write_text

METRICS = ("precision", "recall", "ndcg")

TRIALS = [
    TrialRecord(0, {"optimizer.lr": 0.1}, "COMPLETE", 0.2, {2: 0.2}, None),
    TrialRecord(1, {"optimizer.lr": 0.3}, "PRUNED", 0.1, {2: 0.1}, None),
    TrialRecord(2, {"optimizer.lr": 0.2}, "COMPLETE", 0.4, {2: 0.4}, None),
    TrialRecord(3, {"optimizer.lr": 9.0}, "FAIL", None, {}, None),
]


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    return StudyRecord(
        identity=Identity("s1", "study s1", "films <&>", str(tmp_path), str(tmp_path / "model")),
        tracking=Tracking("http://mlflow.local:5000", away_s=12.0),
        goals=Goals((Objective("val/auc", "max"),)),
        trials=tuple(TRIALS),
        winner=Winner(
            2,
            TRIALS[2].values,
            0.4,
            6,
            {"val/auc": 0.4},
            {"test/auc": 0.35},
            registered=Registered("films", "4", "3"),
        ),
        baselines=(
            BaselineRecord("popularity", "popularity", {"val/auc": 0.2}, {"test/auc": 0.15}),
            BaselineRecord("ease", "EASE", {"val/auc": 0.3}, {"test/auc": 0.25}),
        ),
        findings=Findings(
            finalists=(Finalist(2, (0.39, 0.41), 0.4, 0.014, 6, {"val/auc": 0.4}),),
            comparisons=(Comparison("popularity", 0.2, 0.1, 0.3, 0.001, 80),),
            importance=(
                Importance("val/auc", 40, 30, (Effect("optimizer.lr", 0.05, 0.02, 0.08),)),
            ),
            early=(RankCorrelation(2, 0.75, 9), RankCorrelation(6, 0.9, 2)),
        ),
        times=Times(75.0, 50.0, 80.0, 2.0),
        ended="sweep.budget.wall_s: trials ran for 50 s",
    )


class Tags(HTMLParser):
    """Collects the text, and sees that what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all("http" not in (value or "") for _, value in attrs), "it needs nothing beside it"
        assert tag != "link"
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["script"]:
            self.text += f"{data}\n"


def test_the_page_is_whole_and_says_it_all(record: StudyRecord, tmp_path: Path) -> None:
    write_page(record, tmp_path / "summary.html")
    parser = Tags((tmp_path / "summary.html").read_text())
    for words in (
        "films <&>",
        "4 trials (2 finished, 1 stopped, 1 failed) in 1 min 15 s",
        "Ended by sweep.budget.wall_s",
        "MLflow did not answer for 12 s",
        "Winner: trial 2",
        "EASE",
        "0.2500",
        "+0.2000 (95 % +0.1000 to +0.3000",
        "What mattered: another value of it alone costs the winner optimizer.lr 0.0500 (0.0200 to",
        "Estimated from 40 trials, of which 30 were stopped",
        "0.75 at epoch 2 (9 trials)",
        "Finalists with other seeds",
        'tags.hbpr.kind = "repeat" and tags.hbpr.study_id = "s1"',
        "trial-002 of study s1 in films <&> is best, validation AUC 0.4000 at epoch 2, of 4 runs; "
        "against popularity +0.2000 (95 % +0.1000 to +0.3000).",
        "4 runs (2 finished, 1 stopped, 1 failed)",
        "hbpr recommend",
    ):
        assert words in parser.text, words
    assert "secret" not in parser.text


def test_plots_drawn_ahead_are_those_of_the_page(record: StudyRecord) -> None:
    searched = dataclasses.replace(record, winner=None, findings=Findings(), baselines=())
    ahead = draw_search(searched)
    assert isinstance(ahead["curves"], dict)
    assert "importance" not in ahead
    assert study_page(record, ahead) == study_page(record)


@pytest.mark.parametrize("trials", [(), tuple(TRIALS[3:])])
def test_without_a_trial_that_ended_there_is_a_page(
    record: StudyRecord, trials: tuple[TrialRecord, ...]
) -> None:
    bare = dataclasses.replace(
        record, trials=trials, winner=None, findings=Findings(), baselines=()
    )
    text = Tags(study_page(bare)).text
    assert f"{len(trials)} trial" in text
    assert "Winner" not in text
    assert "no run has a value of val/auc yet" in text if trials else "there are no runs" in text


def test_a_page_that_cannot_be_drawn_does_not_cost_the_answer(
    record: StudyRecord, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "summary.html").write_text("of an earlier sitting")
    odd = dataclasses.replace(record, goals=Goals(()))
    assert write_page(odd, tmp_path / "summary.html") is False
    assert not (tmp_path / "summary.html").exists()
    assert "the page of study s1 could not be drawn (IndexError" in caplog.text


def test_the_best_outside_of_the_limits_is_not_the_winner(record: StudyRecord) -> None:
    measured = {2: {"val/auc": 0.4, "item_vector_bytes": 9000.0}}
    first = dataclasses.replace(TRIALS[0], measured={2: {"item_vector_bytes": 100.0}})
    limited = dataclasses.replace(
        record,
        goals=Goals(record.goals.objectives, (Limit("item_vector_bytes", None, 1000.0),)),
        trials=(first, TRIALS[1], dataclasses.replace(TRIALS[2], measured=measured), TRIALS[3]),
        winner=dataclasses.replace(winner_of(record), number=0, value=0.2),
    )
    said = (
        "It is outside of the limits (item_vector_bytes: {max: 1000}): the winner of the study is "
        "trial 0 (0.2000); against popularity +0.2000 (95 % +0.1000 to +0.3000)."
    )
    assert said in Tags(study_page(limited)).text


def test_a_winner_by_other_seeds_is_set_against_the_next_baseline(record: StudyRecord) -> None:
    winner = dataclasses.replace(winner_of(record), number=0, value=0.41)
    said = (
        "With other seeds trial 0 is ahead of it, which is why that is the winner of the study "
        "(0.4100); against popularity +0.2000 (95 % +0.1000 to +0.3000)."
    )
    assert said in Tags(study_page(dataclasses.replace(record, winner=winner))).text


def test_no_p_value_is_nought(record: StudyRecord) -> None:
    sure = Comparison("popularity", 0.2, 0.1, 0.3, 0.0, 80)
    findings = dataclasses.replace(record.findings, comparisons=(sure,))
    text = Tags(study_page(dataclasses.replace(record, findings=findings))).text
    assert "paired t-test over 80 users, p < 1e-300)" in text


def test_the_text_says_the_same(record: StudyRecord, tmp_path: Path) -> None:
    write_text(record, tmp_path / "summary.txt")
    said = (tmp_path / "summary.txt").read_text()
    for words in (
        "Ended by sweep.budget.wall_s",
        "Finalists",
        "p = 0.001",
        "Mattered another value of it alone costs the winner optimizer.lr 0.0500 (0.0200 to 0.08",
        "models:/films/4; the champion stays version 3",
    ):
        assert words in said, words
    assert "secret" not in said


def test_the_columns_of_the_metrics_stand_under_their_part(record: StudyRecord) -> None:
    assert metric_heads(record) == [
        (part, who) for part in ("validation", "test") for who in ("winner", "popularity", "EASE")
    ]
    assert metric_rows(record) == [
        ("auc", "0.4000", "0.2000", "0.3000", "0.3500", "0.1500", "0.2500")
    ]
    page = study_page(record)
    assert (
        '<th></th><th scope="colgroup" colspan="3">validation</th>'
        '<th scope="colgroup" colspan="3">test</th>'
    ) in page
    heads = "".join(f'<th scope="col">{who}</th>' for who in ("winner", "popularity", "EASE"))
    assert f'<th scope="col">metric</th>{heads}{heads}' in page
    lines = _shown(record).splitlines()
    (parts,) = (i for i, line in enumerate(lines) if "validation" in line and "test" in line)
    words = lines[parts + 1].replace("┃", " ").split()
    assert words == ["metric", *2 * ["winner", "popularity", "EASE"]]


def test_without_a_test_part_there_is_no_column_of_it(record: StudyRecord) -> None:
    bare = dataclasses.replace(
        record,
        winner=dataclasses.replace(winner_of(record), test={}),
        baselines=record.baselines[:1],
    )
    assert metric_heads(bare) == [("validation", "winner"), ("validation", "popularity")]
    assert metric_rows(bare) == [("auc", "0.4000", "0.2000")]


def test_what_mattered_is_told_for_each_objective(record: StudyRecord) -> None:
    effects = (
        Effect("model.n_latent", 640.0, 500.0, 700.0),
        Effect("optimizer.lr", 9.0, -5.0, 20.0),
    )
    both = (*record.findings.importance, Importance("item_vector_bytes", 24, 0, effects))
    several = dataclasses.replace(
        record, findings=dataclasses.replace(record.findings, importance=both)
    )
    page, text = study_page(several), _shown(several)
    assert "What mattered to val/auc: another value" in page
    assert "What mattered to item_vector_bytes: another value" in page
    assert "Mattered to val/auc: another value" in text
    assert "model.n_latent 640 (500 to 700); not sure of optimizer.lr (from 24 trials;" in text


def test_of_too_few_trials_it_says_so(record: StudyRecord) -> None:
    few = dataclasses.replace(
        record,
        findings=dataclasses.replace(record.findings, importance=(Importance("val/auc", 9),)),
    )
    for said in (study_page(few), _shown(few)):
        assert "9 trials are too few to say; it takes 20" in said


def beside_ease(record: StudyRecord, difference: float, high: float) -> StudyRecord:
    found = Comparison("EASE", difference, -0.2, high, 0.01, 80)
    runner_up = Comparison("trial 0", -0.1, -0.2, -0.05, 0.01, 80)
    return dataclasses.replace(
        record, findings=dataclasses.replace(record.findings, comparisons=(runner_up, found))
    )


def test_a_baseline_above_the_winner_is_the_first_thing_said(record: StudyRecord) -> None:
    above = beside_ease(record, -0.1, -0.05)
    assert above.better == ["EASE"]
    words = (
        "EASE ranks above the winner on validation AUC (val/auc): trial 2 - EASE = -0.1000 (95 % "
        "interval -0.2000 to -0.0500, paired over 80 users)."
    )
    assert _shown(above).strip().splitlines()[1] == words
    parser = Tags(study_page(above))
    lines = [line for line in parser.text.splitlines() if line.strip()]
    assert lines.index(words) < lines.index("Winner: trial 2")
    assert study_note(above).startswith(f"**{words}**")
    assert "trial 0 ranks above" not in _shown(above), "it is no baseline"


def test_what_is_not_decided_is_said_too(record: StudyRecord) -> None:
    open_ = beside_ease(record, -0.1, 0.02)
    assert open_.better == []
    words = "Not decided whether EASE ranks above the winner on validation AUC (val/auc): trial 2"
    assert words in _shown(open_)
    assert words in study_page(open_)
    better = beside_ease(record, 0.1, 0.2)
    assert "ranks above" not in _shown(better)


def test_with_few_users_the_winner_may_be_chance(record: StudyRecord) -> None:
    words = "Trial 2 may have won by chance: validation holds 12 users, fewer than 30."
    for n_users, said in ((12, True), (30, False), (None, False)):
        few = dataclasses.replace(
            record, winner=dataclasses.replace(winner_of(record), n_users=n_users)
        )
        assert (words in _shown(few)) is said
        assert (words in study_page(few)) is said
        assert (words in study_note(few)) is said


def test_such_a_winner_is_no_champion_and_the_next_step_is_named(record: StudyRecord) -> None:
    above = dataclasses.replace(
        beside_ease(record, -0.1, -0.05),
        winner=dataclasses.replace(
            winner_of(record), registered=Registered("films", "4", None, "EASE")
        ),
    )
    said = _shown(above)
    assert "models:/films/4; no version is the champion, since EASE ranks above this one" in said
    assert "--set sweep.final.register_model=always" in said.splitlines()[-1]


def test_mlflow_describes_a_study_in_the_columns_of_its_page(record: StudyRecord) -> None:
    note = study_note(record)
    assert (
        "| metric | validation winner | validation popularity | validation EASE | test winner | "
        "test popularity | test EASE |"
    ) in note
    assert "| auc | 0.4000 | 0.2000 | 0.3000 | 0.3500 | 0.1500 | 0.2500 |" in note


def winner_of(record: StudyRecord) -> Winner:
    assert record.winner is not None
    return record.winner


def _shown(record: StudyRecord) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    show(record, console)
    return console.export_text()


def test_few_trials_have_no_chart_and_no_correlation(record: StudyRecord) -> None:
    bare = dataclasses.replace(
        record,
        findings=Findings(early=(RankCorrelation(2, 1.0, 3),)),
        trials=tuple(TRIALS[3:]),
        winner=None,
    )
    assert early_line(bare) is None
    assert "Stopping early" not in study_page(bare)


def test_a_front_and_its_limits(record: StudyRecord, tmp_path: Path) -> None:
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
        for trial, size in zip(record.trials, sizes, strict=True)
    ]
    several = dataclasses.replace(
        record,
        goals=goals,
        trials=tuple(trials),
        findings=dataclasses.replace(record.findings, front=(2,)),
    )
    parser = Tags(study_page(several))
    write_text(several, tmp_path / "summary.txt")
    said = " ".join((tmp_path / "summary.txt").read_text().split())
    for words in (
        "Pareto front: 1 of 4 trials; the champion is trial 2, by val/auc",
        "score_cpu_ms: {max: 0.5} (winner 0.2500); outside: 1 of 4 trials",
        "6,400",
    ):
        assert words in " ".join(parser.text.split()), words
        assert words in said, words
    assert "No trial is better than one of the front in both." in parser.text


def test_the_metrics_fit_a_terminal_of_80_columns(record: StudyRecord) -> None:
    names = [
        f"{part}/{name}_at_{k}" for part in ("val", "test") for name in METRICS for k in (10, 20)
    ]
    val, test = (
        {name: 0.25 for name in names if name.startswith(part)} for part in ("val/", "test/")
    )
    record = dataclasses.replace(
        record,
        winner=dataclasses.replace(winner_of(record), validation=val, test=test),
        baselines=tuple(
            dataclasses.replace(each, validation=val, test=test) for each in record.baselines
        ),
    )
    text = _shown(record)
    assert all(f"{name}_at_{k}" in text for name in METRICS for k in (10, 20))
    assert "…" not in text
