import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.interpolate import griddata

from dashboards import MLflowPlotter
from dashboards.commands import plot, report
from dashboards.kinds import KINDS
from dashboards.kinds.contour import interpolated
from dashboards.marks import Lines, Points
from hbpr.cli.main import run
from hbpr.errors import ConfigError, TrackingError
from hbpr.tracking.run_log import log_batch

METRIC = "val/ndcg_at_10"


def test_experiments_are_listed(films: MLflowPlotter) -> None:
    table = films.get_experiments()
    assert "films" in table["experiment"].tolist()
    assert table["made"].notna().all()
    assert "films" in films._repr_html_()


def test_runs_hold_settings_as_values_and_leave_out_all_but_trials(films: MLflowPlotter) -> None:
    runs = films.get_runs("films")
    assert len(runs) == 12
    assert runs["state"].value_counts().to_dict() == {"finished": 6, "stopped": 5, "failed": 1}
    first = runs.iloc[0]
    assert (first["value"], first["best_epoch"], first["epochs"]) == (0.4, 10, 20)
    assert first["duration_s"] == 2.5
    assert runs["model.n_latent"].dtype.kind == "i"
    assert runs["model.item_bias"].tolist()[:2] == [False, True]
    assert set(runs["model.hidden"]) == {"[64, 32]", "[8]"}
    assert math.isnan(runs.iloc[11]["value"])


def test_reading_curves_changes_no_row(films: MLflowPlotter) -> None:
    few, all_points = films.records("films"), films.records("films", curves=True)
    pd.testing.assert_frame_equal(few.runs, all_points.runs)
    lengths = {len(curve.epochs) for curve in all_points.curves.values()}
    assert lengths == {1, 3, 4}


def test_the_summary_is_ranked_and_shows_what_was_searched(films: MLflowPlotter) -> None:
    table = films.summary_table("films")
    assert table.index.tolist() == list(range(1, 13))
    assert table[METRIC].iloc[0] == 0.4
    assert table[METRIC].dropna().is_monotonic_decreasing
    assert math.isnan(table[METRIC].iloc[-1])
    assert "optimizer.lr" in table
    assert "training.batch_size" not in table, "it was not searched"
    assert films.best_runs("films", n=3)["run"].tolist() == table["run"].tolist()[:3]


def test_the_history_of_a_run_and_of_an_experiment(films: MLflowPlotter) -> None:
    run_id = films.get_runs("films")["run_id"].iloc[0]
    one = films.get_run_metrics_history(run_id, METRIC)
    assert one["epoch"].tolist() == [5, 10, 15, 20]
    assert one["value"].tolist() == [0.1, 0.4, 0.3, 0.2]
    every = films.get_run_metrics_history("films")
    assert every["run_id"].nunique() == 11
    assert every[every["run_id"] == run_id]["value"].tolist() == [0.1, 0.4, 0.3, 0.2]
    with pytest.raises(
        ConfigError, match=r"'?filmz'?: neither the id of a run nor an experiment.*films"
    ):
        films.get_run_metrics_history("filmz")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "front"])
def test_each_kind_is_drawn_for_papers_and_for_pages(films: MLflowPlotter, kind: str) -> None:
    picture = films.plot(kind, "films")
    assert picture.panels
    assert picture.caption
    figure = picture.to_matplotlib()
    assert len(figure.axes) >= len(picture.panels)
    figure.draw_without_rendering()
    live = picture.to_plotly()
    assert len(live.data) >= 1
    assert live.layout.barmode == "overlay", "runs of several states stay on their lanes"
    n = sum(
        len(mark.lines)
        for panel in picture.panels
        for mark in panel.marks
        if isinstance(mark, Lines)
    )
    drawn = sum(
        len(line.get_segments())
        for axes in figure.axes
        for line in axes.collections
        if hasattr(line, "get_segments")
    )
    if kind in ("curves", "parallel"):
        singles = sum(
            len(line.x) == 1
            for panel in picture.panels
            for mark in panel.marks
            if isinstance(mark, Lines)
            for line in mark.lines
        )
        assert drawn == n - singles


def test_learning_curves_draw_each_run_and_name_the_best(films: MLflowPlotter) -> None:
    (panel,) = films.plot_runs_comparison("films").panels
    names = [mark.name for mark in panel.marks]
    assert names == ["stopped early (5)", "first, finished (6)", "", "best: trial-000, 0.4000"]
    best = panel.marks[-1]
    assert isinstance(best, Points)
    assert (best.x.tolist(), best.y.tolist()) == ([10.0], [0.4])
    assert panel.y.label == "validation NDCG@10"
    few = films.plot_best_runs("films", 2).panels[0]
    assert sum(len(mark.lines) for mark in few.marks if isinstance(mark, Lines)) == 3


def test_a_conditional_setting_that_a_trial_lacks_is_shown(films: MLflowPlotter) -> None:
    picture = films.plot_parallel("films", ["training.negatives.per_positive", "optimizer.lr"])
    (panel,) = picture.panels
    lines = [line for mark in panel.marks if isinstance(mark, Lines) for line in mark.lines]
    assert len(lines) == 12, "eleven runs with a value, and the best one once more"
    assert sum(line.y[0] == -0.15 for line in lines) == 5, "trials 0, 3, 6, 9 and the best again"
    (panel,) = films.plot_slices("films", ["training.negatives.per_positive"]).panels
    assert [text for _, text in panel.x.ticks] == ["4", "not set"]
    assert sum(len(m.x) for m in panel.marks if isinstance(m, Points) and m.name != "best") == 11


def test_a_contour_of_two_choices_scatters_runs_and_says_what_colours_are(
    films: MLflowPlotter,
) -> None:
    (panel,) = films.plot_contour("films", ["model.n_latent", "model.item_bias"]).panels
    points, best = panel.marks
    assert isinstance(points, Points)
    aside = [values - values.round() for values in (points.x, points.y)]
    assert abs(np.corrcoef(aside)[0, 1]) < 0.9, "no line that is none of the data"
    assert points.label == "validation NDCG@10"
    assert best.name == "best"


def test_the_surface_between_runs_is_linear_in_triangles() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-7.0, 64.0], [0.0, 4096.0], size=(40, 2))
    values = rng.random(40)
    where = np.meshgrid(np.linspace(-8.0, 1.0, 20), np.linspace(0.0, 5000.0, 20))
    found = interpolated(points, values, where)
    assert 0 < np.isnan(found).sum() < found.size
    np.testing.assert_allclose(found, griddata(points, values, tuple(where), rescale=True))


def test_a_log_axis_has_whole_ticks(films: MLflowPlotter) -> None:
    (panel,) = films.plot_slices("films", "optimizer.lr").panels
    assert [text for _, text in panel.x.ticks] == ["0.001", "0.01", "0.1", "1"]


def test_finalists_are_means_over_seeds_with_an_interval(films: MLflowPlotter) -> None:
    picture = films.plot("seeds", "films")
    seeds, interval, mean = picture.panels[0].marks
    assert sorted(seeds.y.tolist()) == [0.38, 0.39]  # type: ignore[union-attr]
    assert mean.y.tolist() == pytest.approx([0.385])  # type: ignore[union-attr]
    # Student's t of one degree of freedom: 12.7062 · 0.0070711 / √2.
    low, high = interval.lines[0].y  # type: ignore[union-attr]
    assert (high - low) / 2 == pytest.approx(0.063531, abs=1e-5)


def test_a_front_is_of_what_the_best_epochs_measured(lab) -> None:
    goals = [{"metric": METRIC, "mode": "max"}, {"metric": "val/novelty_at_10", "mode": "max"}]
    settings = json.dumps({"sweep": {"objectives": goals, "space": {}}})
    tags = {"hbpr.settings": settings, "hbpr.front": "0,1"}
    lab.run("study", [], {}, kind="study", experiment="two goals", tags=tags)
    for number, values in enumerate(([0.4, 0.2], [0.3, 0.35], [0.1])):
        run_id = lab.run(f"t-{number}", values, {"a": number}, experiment="two goals")
        novelty = [("val/novelty_at_10", number + 0.1 * i, i, 5 * i) for i in (1, 2)]
        log_batch(lab.client, run_id, metrics=novelty)
    (panel,) = MLflowPlotter(lab.uri).plot("front", "two goals").panels
    front = panel.marks[-1]
    assert isinstance(front, Points)
    assert (front.name, front.x.tolist(), front.y.tolist()) == (
        "Pareto front",
        [0.1, 1.2],
        [0.4, 0.35],
    )


def test_one_study_of_several_can_be_chosen(lab) -> None:
    for number, study in enumerate(["first", "first", "second"]):
        lab.run(f"t-{number}", [number], {"optimizer.lr": number}, study=study, experiment="two")
    plotter = MLflowPlotter(lab.uri)
    assert len(plotter.get_runs("two")) == 3
    assert plotter.best_runs("two", 1)["study"].tolist() == ["second"]
    assert len(plotter.get_runs("two", study="first")) == 2
    assert len(plotter.get_runs("two", study="second-id")) == 1
    with pytest.raises(ConfigError, match=r"no trial of a study 'third'.*'first', 'second'"):
        plotter.get_runs("two", study="third")


def test_bad_input_is_told(films: MLflowPlotter) -> None:
    with pytest.raises(ConfigError, match=r"'film'.*Did you mean 'films'"):
        films.get_runs("film")
    with pytest.raises(ConfigError, match=r"no run has the metric 'val/auc'; they have .*val/ndcg"):
        films.plot_runs_comparison("films", "val/auc")
    with pytest.raises(ConfigError, match=r"setting 'model.nothing': not recorded; there are"):
        films.plot_slices("films", ["model.nothing"])
    with pytest.raises(ConfigError, match="no study has several objectives"):
        films.plot("front", "films")
    with pytest.raises(ConfigError, match=r"no kind of picture is called 'curve'.*'?curves"):
        films.plot("curve", "films")
    with pytest.raises(TrackingError, match="does not answer"):
        MLflowPlotter("http://127.0.0.1:9").get_runs("films")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "html"])
def test_a_picture_is_written_by_its_suffix(
    films: MLflowPlotter, tmp_path: Path, suffix: str
) -> None:
    data = films.plot("progress", "films").save(tmp_path / f"films.{suffix}").read_bytes()
    if suffix == "svg":
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        head = {"png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!doctype html>"}[suffix]
        assert data.startswith(head)


def test_tables_are_written(films: MLflowPlotter, tmp_path: Path) -> None:
    table = pd.read_csv(films.save_table("films", tmp_path / "a.csv"), index_col="rank")
    assert table[METRIC].iloc[0] == 0.4
    path = films.save_table("films", tmp_path / "a.parquet", curves=True)
    curves = pd.read_parquet(path)
    assert len(curves) == 4 + 5 * 3 + 5
    assert len(pd.read_parquet(films.save_table("films", tmp_path / "b.parquet"))) == 12


def test_a_picture_shows_itself_in_a_notebook(films: MLflowPlotter) -> None:
    bundle = films.plot("progress", "films")._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert "12 runs" in bundle["text/plain"]


def test_the_command_writes_the_file_and_says_so(films: MLflowPlotter, tmp_path: Path) -> None:
    target = tmp_path / "films.png"
    arguments = ["cost", "films", "-o", str(target), "--tracking-uri", films.tracking_uri]
    done = CliRunner().invoke(plot, arguments)
    assert done.exit_code == 0, done.output
    assert done.output == f"wrote {target}\n"
    assert target.exists()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (plot, ["curves", "film", "-o", "x.png"], "Did you mean 'films'?"),
        (plot, ["curves", "films", "-o", "x.png", "--metric", "val/x"], "has the metric 'val/x'"),
        (plot, ["curve", "films", "-o", "x.png"], "no kind of picture is called 'curve'"),
        (plot, ["films", "-o", "x.png"], "hbpr plot curves films -o x.png"),
        (plot, ["curves", "-o", "x.png"], "hbpr plot curves EXPERIMENT -o x.png"),
        (plot, ["curves", "films", "-o", "x.doc"], "expected a file ending in .png"),
        (plot, ["curves", "films", "-o", "nowhere/x.png"], "there is no folder"),
        (report, ["films", "-o", "x.doc"], "expected a file ending in .html"),
        (report, ["films", "-o", "x.html", "--csv", "x.doc"], "expected a file ending in .csv"),
    ],
)
def test_bad_input_is_one_message_and_code_2(
    films: MLflowPlotter,
    capsys: pytest.CaptureFixture[str],
    command,
    arguments: list[str],
    message: str,
) -> None:
    assert run(command, [*arguments, "--tracking-uri", films.tracking_uri]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error


def test_the_default_store_is_that_of_mlflow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert MLflowPlotter().tracking_uri == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert MLflowPlotter().tracking_uri == "http://mlflow:5000"
    assert MLflowPlotter(tmp_path / "m.db").tracking_uri == f"sqlite:///{tmp_path}/m.db"
