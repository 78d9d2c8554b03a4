"""What misled a reader of a mixed experiment once."""

from typing import Any

import numpy as np
import pytest

from dashboards import MLflowPlotter
from dashboards.answer import answers
from dashboards.marks import Lines, Points
from hbpr.errors import ConfigError

METRIC = "val/ndcg_at_10"
LR = {"optimizer.lr": {"low": 0.001, "high": 1.0, "log": True}, "model.n_latent": [4, 8]}


def exam(key: str, data: str) -> dict[str, str]:
    return {"hbpr.exam": key, "hbpr.data": data, "hbpr.split": "random 0.8"}


@pytest.fixture
def mixed(lab) -> MLflowPlotter:
    """A study on films, and by hand one training on films and one on easier data."""
    lab.study("s1", LR, "mixed", **exam("a", "films"))
    for number, lr in enumerate((0.001, 0.02, 0.9)):
        values: dict[str, Any] = {"optimizer.lr": lr, "model.n_latent": 8}
        lab.run(
            f"t-{number}",
            [0.1 * number],
            values,
            study="s1",
            experiment="mixed",
            tags=exam("a", "films"),
        )
    by_hand: dict[str, Any] = {"optimizer.lr": 0.05, "model.n_latent": None}
    lab.run(
        "by hand",
        [0.15],
        by_hand,
        study="",
        kind="train",
        experiment="mixed",
        tags=exam("a", "films"),
    )
    lab.run(
        "easy",
        [0.9],
        {"optimizer.lr": 0.1},
        study="",
        kind="train",
        experiment="mixed",
        tags=exam("b", "tiny"),
    )
    return MLflowPlotter(lab.uri)


def test_a_run_on_other_data_is_not_the_best(mixed: MLflowPlotter) -> None:
    table = mixed.summary_table("mixed")
    assert table["run"].tolist() == ["t-2", "by hand", "t-1", "t-0", "easy"]
    assert table.index.tolist() == [1, 2, 3, 4, 1]
    assert mixed.best_runs("mixed", 1)["data"].tolist() == ["films, random 0.8", "tiny, random 0.8"]
    picture = mixed.plot_runs_comparison("mixed")
    assert [panel.title for panel in picture.panels] == ["films, random 0.8", "tiny, random 0.8"]
    assert "2 groups of data that do not compare: films, random 0.8 (4 runs)" in picture.caption
    said = answers(mixed.records("mixed"))
    assert said[0].startswith("On films, random 0.8: t-2 of s1 in mixed is best")
    assert "one seed" in said[0]


def test_trainings_by_hand_are_no_progress_of_the_search(mixed: MLflowPlotter) -> None:
    picture = mixed.plot("progress", "mixed")
    drawn = {
        int(row)
        for mark in picture.panels[0].marks
        if isinstance(mark, Points)
        for row in mark.runs
    }
    assert drawn == {0, 1, 2}
    assert "1 single runs are no trials of a search" in picture.caption


def test_no_entry_of_the_legend_is_blank(mixed: MLflowPlotter) -> None:
    figure = mixed.plot_runs_comparison("mixed").to_matplotlib()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "single runs, finished (1)" in texts
    assert all(text.strip() for text in texts)


def test_a_null_stays_in_its_panel(mixed: MLflowPlotter) -> None:
    (panel,) = mixed.plot_slices("mixed", "model.n_latent").panels
    assert [text for _, text in panel.x.ticks] == ["4", "8", "none"]
    drawn = {int(row) for mark in panel.marks if isinstance(mark, Points) for row in mark.runs}
    assert drawn == {0, 1, 2, 3}


def test_a_scale_is_that_of_the_space_whatever_joins(mixed: MLflowPlotter, lab) -> None:
    records = mixed.records("mixed")
    assert records.scales_among(records.runs)["optimizer.lr"].kind == "log"
    for lr in (0.999, 0.998):
        lab.run("more", [0.1], {"optimizer.lr": lr}, study="", kind="train", experiment="mixed")
    records = mixed.records("mixed")
    scale = records.scales_among(records.runs)["optimizer.lr"]
    assert (scale.kind, scale.low, scale.high) == ("log", 0.001, 1.0)


def test_choices_of_several_spaces_stand_in_their_order_and_only_where_they_were(lab) -> None:
    for name, key, choices in (("s1", "a", [32, 64]), ("s2", "a", [16, 128]), ("s3", "b", [8])):
        space = {"model.n_latent": choices, "optimizer.lr": {"low": 0.1, "high": 0.9}}
        lab.study(name, space, "several", **exam(key, key))
        for number, value in enumerate(choices):
            lab.run(
                f"t-{number}",
                [0.1],
                {"model.n_latent": value, "optimizer.lr": 0.5},
                study=name,
                experiment="several",
                tags=exam(key, key),
            )
    (panel,) = MLflowPlotter(lab.uri).plot_slices("several", "model.n_latent").panels
    assert [text for _, text in panel.x.ticks] == ["16", "32", "64", "128"]


def test_whole_numbers_stay_whole(mixed: MLflowPlotter, lab) -> None:
    lab.run("without", [0.1], {}, study="", kind="train", experiment="mixed")
    texts = {str(value) for value in mixed.get_runs("mixed")["model.n_latent"].dropna()}
    assert texts == {"8", "none"}
    (panel,) = mixed.plot_slices("mixed", "model.n_latent").panels
    assert [text for _, text in panel.x.ticks][:2] == ["4", "8"]


def test_every_method_takes_several_experiments(mixed: MLflowPlotter, lab) -> None:
    lab.run(
        "t-0",
        [0.3, 0.35],
        {"optimizer.lr": 0.1},
        study="s2",
        experiment="more",
        tags=exam("a", "films"),
    )
    both = ["mixed", "more"]
    picture = mixed.plot_runs_comparison(both)
    assert len(mixed.get_runs(both)) == 6
    assert mixed.best_runs(both, 1)["experiment"].tolist()[0] == "more"
    lines = [
        line for mark in picture.panels[0].marks if isinstance(mark, Lines) for line in mark.lines
    ]
    assert len(lines) == 6
    cost = mixed.plot("cost", both)
    names = [mark.name for mark in cost.panels[0].marks]
    assert "more (1 runs)" in names
    with pytest.raises(ConfigError, match=r"'moar'.*Did you mean .*'more'"):
        mixed.plot_runs_comparison(["mixed", "moar"])


def test_runs_that_go_on_and_runs_of_no_value_are_shown(lab) -> None:
    lab.run("t-0", [0.1], {"a": 1}, experiment="live", status=None)
    lab.run("t-1", [], {"a": 2}, experiment="live", status=None)
    plotter = MLflowPlotter(lab.uri)
    assert plotter.get_runs("live")["state"].tolist() == ["running", "running"]
    for kind in ("curves", "progress", "timeline", "cost", "slices"):
        assert plotter.plot(kind, "live").panels
    lab.run("x", [], {}, experiment="empty", study="", kind="run")
    with pytest.raises(ConfigError, match="no run has a metric yet"):
        plotter.get_runs("empty")


def test_pictures_of_many_runs_are_thinned_for_pages(mixed: MLflowPlotter) -> None:
    points = Points(np.arange(1000.0), np.arange(1000.0), np.arange(1000))
    picture = mixed.plot("progress", "mixed")
    from dataclasses import replace

    many = replace(picture, panels=(replace(picture.panels[0], marks=(points,)),))
    thin = many.thinned(100)
    mark = thin.panels[0].marks[0]
    assert isinstance(mark, Points)
    assert len(mark.x) == len(mark.runs) == 100
    assert (mark.x[0], mark.x[-1]) == (0.0, 999.0)
    assert "100 evenly chosen runs" in thin.caption
    assert many.thinned(1000) is many
