import itertools
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from dashboards import MLflowPlotter
from dashboards.commands import plot
from hbpr.cli.main import run
from hbpr.errors import ConfigError, TrackingError
from hbpr.tracking.run_log import log_batch
from hbpr.tracking.store import ensure_experiment, open_client

METRIC = "val/ndcg_at_10"
CLOCK = itertools.count(1)


def add_run(
    uri: str,
    name: str,
    values: list[float],
    params: dict[str, object],
    *,
    status: str = "FINISHED",
    kind: str = "trial",
    study: str = "first",
    experiment: str = "films",
) -> str:
    client = open_client(uri)
    tags = {"hbpr.kind": kind, "hbpr.study": study, "hbpr.study_id": f"{study}-id"}
    if kind == "trial":
        tags["hbpr.trial"] = name.rpartition("-")[2]
    start = 1_000 * next(CLOCK)
    created = client.create_run(
        ensure_experiment(client, experiment, uri), tags=tags, run_name=name, start_time=start
    )
    points = [(METRIC, value, start, 5 * i) for i, value in enumerate(values, 1)]
    best = [("best/ndcg_at_10", max(values), start, 5)] if values else []
    log_batch(client, created.info.run_id, metrics=points + best, params=params)
    client.set_terminated(created.info.run_id, status, start + 2_500)
    return str(created.info.run_id)


@pytest.fixture(scope="module")
def films(module_tracking_uri: str) -> MLflowPlotter:
    """A study of twelve trials: finished, stopped and failed ones, settings of all kinds."""
    tracking_uri = module_tracking_uri
    rng = np.random.default_rng(0)
    for number in range(12):
        settings: dict[str, object] = {
            "optimizer.lr": 10.0 ** rng.uniform(-3, 0),
            "model.n_latent": int(rng.choice([16, 32, 64])),
            "model.item_bias": bool(number % 2),
            "data.item_feature": str(rng.choice(["metadata", "indicator"])),
            "model.hidden": [64, 32] if number % 3 else [8],
            "training.batch_size": 4096,
        }
        if number == 0:
            values, status = [0.1, 0.4, 0.3, 0.2], "FINISHED"
        elif number == 11:
            values, status = [], "FAILED"
        elif number % 2:
            values, status = [0.01 * number], "KILLED"
        else:
            values, status = [0.1, 0.2, 0.02 * number], "FINISHED"
        add_run(tracking_uri, f"trial-{number:03d}", values, settings, status=status)
    add_run(tracking_uri, "study first", [], {}, kind="study")
    add_run(tracking_uri, "repeat-000-seed-1", [0.9], {"optimizer.lr": 0.1}, kind="repeat")
    return MLflowPlotter(tracking_uri)


def test_runs_hold_settings_as_values_and_leave_out_all_but_trials(films: MLflowPlotter) -> None:
    runs = films.runs("films")
    assert len(runs) == 12
    assert runs["state"].value_counts().to_dict() == {"finished": 6, "stopped": 5, "failed": 1}
    first = runs.iloc[0]
    assert (first["value"], first["best_epoch"], first["epochs"]) == (0.4, 10, 20)
    assert first["duration_s"] == 2.5
    assert runs["model.n_latent"].dtype.kind == "i"
    assert runs["model.item_bias"].tolist()[:2] == [False, True]
    assert set(runs["model.hidden"]) == {"[64, 32]", "[8]"}
    assert math.isnan(runs.iloc[11]["value"])


def test_the_summary_is_ranked_and_shows_what_was_searched(films: MLflowPlotter) -> None:
    table = films.summary_table("films")
    assert table.index.tolist() == list(range(1, 13))
    assert table[METRIC].iloc[0] == 0.4
    assert table[METRIC].dropna().is_monotonic_decreasing
    assert math.isnan(table[METRIC].iloc[-1])
    assert "optimizer.lr" in table
    assert "training.batch_size" not in table, "it was not searched"
    assert films.best_runs("films", n=3)["run"].tolist() == table["run"].tolist()[:3]


def test_one_study_of_several_can_be_chosen(films: MLflowPlotter) -> None:
    for number, study in enumerate(["first", "first", "second"]):
        settings: dict[str, object] = {"optimizer.lr": number}
        add_run(
            films.tracking_uri, f"t-{number}", [number], settings, study=study, experiment="two"
        )
    assert len(films.runs("two")) == 3
    assert films.best_runs("two", 1)["study"].tolist() == ["second"]
    assert len(films.runs("two", study="first")) == 2
    assert len(films.runs("two", study="second-id")) == 1
    with pytest.raises(ConfigError, match=r"no trial of a study 'third'.*'first', 'second'"):
        films.runs("two", study="third")


def test_learning_curves_draw_each_run_and_name_the_best(films: MLflowPlotter) -> None:
    figure = films.learning_curves("films")
    (axes,) = figure.axes
    drawn = [line for line in axes.get_lines() if len(line.get_xdata()) > 0]
    assert len(drawn) == 12, "eleven runs with values, and a mark on the best"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "best: trial-000, 0.4000",
        "finished (6)",
        "stopped early (5)",
    ]
    assert axes.get_ylabel() == "validation NDCG@10"
    other = Figure().subplots()
    assert films.learning_curves("films", ax=other) is other.figure


def test_settings_are_compared_side_by_side(films: MLflowPlotter) -> None:
    figure = films.compare_runs("films")
    by_name = {axes.get_xlabel(): axes for axes in figure.axes}
    assert set(by_name) == {
        "optimizer.lr",
        "model.n_latent",
        "model.item_bias",
        "data.item_feature",
        "model.hidden",
    }
    assert by_name["optimizer.lr"].get_xscale() == "log"
    assert [t.get_text() for t in by_name["model.n_latent"].get_xticklabels()] == ["16", "32", "64"]
    assert len(films.compare_runs("films", params=["optimizer.lr"]).axes) == 1
    with pytest.raises(ConfigError, match=r"params: .*model\.nothing.*there are .*optimizer\.lr"):
        films.compare_runs("films", params=["model.nothing"])


def test_an_unknown_experiment_or_metric_is_told(films: MLflowPlotter) -> None:
    with pytest.raises(ConfigError, match=r"'film'.*Did you mean 'films'"):
        films.runs("film")
    with pytest.raises(ConfigError, match=r"no run has the metric 'val/auc'; they have .*val/ndcg"):
        films.learning_curves("films", "val/auc")
    with pytest.raises(TrackingError, match="does not answer"):
        MLflowPlotter("http://127.0.0.1:9").runs("films")


def test_a_single_run_without_searched_settings_is_a_page_too(tracking_uri: str) -> None:
    add_run(tracking_uri, "only", [0.2], {"optimizer.lr": 0.1}, kind="train", experiment="one")
    plotter = MLflowPlotter(tracking_uri)
    assert len(plotter.report("one").axes) == 2
    with pytest.raises(ConfigError, match="no setting differs"):
        plotter.compare_runs("one")


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "html", "csv"])
def test_a_report_is_written_by_its_suffix(
    films: MLflowPlotter, tmp_path: Path, suffix: str
) -> None:
    path = films.save("films", tmp_path / f"films.{suffix}")
    data = path.read_bytes()
    if suffix == "csv":
        table = pd.read_csv(path, index_col="rank")
        assert table[METRIC].iloc[0] == 0.4
    elif suffix == "html":
        text = data.decode()
        assert "data:image/png;base64," in text
        assert "trial-000" in text
        assert "http://" not in text
        assert "https://" not in text
    elif suffix == "svg":
        assert ElementTree.fromstring(data).tag.endswith("svg")
    else:
        assert data.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[suffix])


def test_names_cannot_break_the_page(tracking_uri: str, tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    add_run(tracking_uri, name, [0.2], {"a": name}, experiment="x<b>", kind="train", study="")
    path = MLflowPlotter(tracking_uri).save("x<b>", tmp_path / "x.html")
    assert "<script>" not in path.read_text()
    assert "x<b>" not in path.read_text()


def test_the_command_writes_the_file_and_says_so(films: MLflowPlotter, tmp_path: Path) -> None:
    target = tmp_path / "films.csv"
    arguments = ["films", "-o", str(target), "--tracking-uri", films.tracking_uri]
    done = CliRunner().invoke(plot, arguments)
    assert done.exit_code == 0, done.output
    assert done.output == f"wrote {target}\n"
    assert target.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["film", "-o", "x.png"], "Did you mean 'films'?"),
        (["films", "-o", "x.png", "--metric", "val/x"], "no run has the metric 'val/x'"),
        (["films", "-o", "x.doc"], "expected a file ending in .png"),
        (["films", "-o", "nowhere/x.png"], "there is no folder"),
    ],
)
def test_bad_input_is_one_message_and_code_2(
    films: MLflowPlotter,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(plot, [*arguments, "--tracking-uri", films.tracking_uri]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error


def test_the_default_store_is_that_of_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert MLflowPlotter().tracking_uri == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert MLflowPlotter().tracking_uri == "http://mlflow:5000"
