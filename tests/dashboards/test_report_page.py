"""The page of several experiments: what is in it, and how it behaves in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards import MLflowPlotter
from hbpr.tracking.store import open_client

CHROMIUM = Path("/usr/bin/chromium")
METRIC = "val/ndcg_at_10"


@pytest.fixture(scope="module")
def page_path(films: MLflowPlotter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.report("films", tmp_path_factory.mktemp("report") / "films.html")


@pytest.fixture(scope="module")
def content(page_path: Path) -> dict[str, Any]:
    found = re.search(r'id="content">(.*?)</script>', page_path.read_text())
    assert found is not None
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def test_every_number_of_the_table_is_that_of_mlflow(
    films: MLflowPlotter, content: dict[str, Any]
) -> None:
    names = [column["name"] for column in content["columns"]]
    client = open_client(films.tracking_uri, create=False)
    assert len(content["rows"]) == 12
    for _, *cells in content["rows"]:
        row = dict(zip(names, cells, strict=True))
        run = client.get_run(row["run_id"])
        assert row["run"] == run.info.run_name
        values = [point.value for point in client.get_metric_history(row["run_id"], METRIC)]
        assert row[METRIC] == max(values, default=None)
        for name in ("optimizer.lr", "model.n_latent", "training.negatives.per_positive"):
            recorded = run.data.params.get(name)
            assert row[name] == (None if recorded is None else json.loads(recorded))


def test_the_page_says_answer_data_cost_and_commands(page_path: Path) -> None:
    text = page_path.read_text()
    body = text[: text.index('id="content"')]
    for said in (
        "trial-000 of first in films is best",
        "Its mean over 2 other seeds is 0.3850 ± 0.0635 (95 %)",
        "hbpr study resume &#39;/my studies/films/first-id&#39;",
        "hbpr serve &#39;/my studies/films/first-id&#39;",
        "hbpr report films",
        "<td>24</td>",
        "Not drawn: front",
        'role="img"',
    ):
        assert said in body, said
    assert "<script src" not in text
    assert "<link" not in text
    assert len(text) < 20e6


def test_a_baseline_above_the_winner_is_said_first(page_path: Path) -> None:
    text = page_path.read_text()
    said = (
        "<b>EASE ranks above the winner on validation NDCG@10 (val/ndcg_at_10): "
        "trial 0 - EASE = -0.0200 (95 % interval -0.0300 to -0.0100, paired over 943 users)."
    )
    assert text.index(said) < text.index("is best, validation NDCG@10")
    table = text[text.index('id="winners"') : text.index('id="plots"')]
    metrics = table[table.index('class="metrics"') :]
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", metrics[: metrics.index("</table>")])
    assert cells == [
        *("", "validation", "metric", "winner", "EASE"),
        *("ndcg_at_10", "0.4000", "0.4200"),
        *("auc", "0.9000", ""),
    ]


def test_a_verdict_without_its_interval_is_said_and_holds_for_its_metric_alone(
    lab, tmp_path: Path
) -> None:
    tags = {"hbpr.best_trial": "0", "hbpr.best_value": "0.3", "hbpr.better": "EASE"}
    lab.study("old", {}, "old", **tags)
    lab.run("trial-0", [0.3], {"a": 1}, study="old", experiment="old", metrics={"val/auc": 0.8})
    plotter = MLflowPlotter(lab.uri)
    said = "EASE ranks above the winner, trial 0, on validation NDCG@10"
    assert said in plotter.report("old", tmp_path / "old.html").read_text()
    other = plotter.report("old", tmp_path / "auc.html", metric="val/auc", study="old-id")
    text = other.read_text()
    assert "EASE ranks above" not in text
    assert "hbpr report old -o report.html --metric val/auc --study old-id --tracking-uri" in text


def test_names_cannot_break_the_page(lab, tmp_path: Path) -> None:
    name = "</script><b>&"
    lab.run(name, [0.2], {"a": name}, experiment="x<b>", kind="train", study="")
    lab.run("other", [0.3], {"a": "b"}, experiment="x<b>", kind="train", study="")
    text = MLflowPlotter(lab.uri).report("x<b>", tmp_path / "x.html").read_text()
    assert name not in text
    assert "x<b>" not in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: the page is not opened")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_it_sorts_filters_and_shows_a_run_everywhere(
    browser: Any, page_path: Path, scheme: str, width: int
) -> None:
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.set_default_timeout(120_000)
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith("file:") or asked.url.startswith(("data:", "blob:"))
            else errors.append(asked.url)
        ),
    )
    page.goto(page_path.as_uri())
    rows = page.locator("#table tbody tr")
    assert rows.count() == 12
    assert page.locator("#count").text_content() == "12 runs"

    heading = page.locator("#table thead th", has_text="optimizer.lr").first
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    column = heading.evaluate("cell => cell.cellIndex")
    rates = [float(rows.nth(i).locator("td").nth(column).text_content()) for i in range(12)]
    assert rates == sorted(rates)

    page.fill("#filter", "stopped model.n_latent>16")
    assert 0 < rows.count() < 6
    assert all("stopped" in text for text in rows.all_text_contents())
    page.fill("#filter", "")

    page.evaluate("document.querySelectorAll('.plot').forEach(draw)")
    side_by_side = page.evaluate("document.getElementById('plot-slices').layout.xaxis2.domain[0]")
    assert (side_by_side > 0) == (width > 700), "narrow pages have panels one below the other"
    rows.first.focus()
    assert "optimizer.lr = " in page.locator("#trial").text_content()
    run = int(rows.first.get_attribute("data-run"))
    page.wait_for_function(
        "run => { const plot = document.getElementById('plot-slices');"
        " return plot.data[plot.marks.first].x.length > 0 }",
        arg=run,
    )
    page.evaluate(
        "document.getElementById('plot-progress').emit('plotly_hover', {points: [{customdata: 3}]})"
    )
    assert page.locator("#trial").text_content().startswith("trial-003")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert errors == []
    page.close()
