"""Every row says what it must, and runs from settings to a section of the report on tiny data."""

from pathlib import Path

import pytest

from hbpr.reproductions import ROWS, Band, Order, Row, load_row
from hbpr.reproductions.registry import load_settings, settings_path
from hbpr.reproductions.render import to_markdown, to_text, write_report
from hbpr.settings import load_yaml
from hbpr.settings.load import with_values
from hbpr.settings.models import DataSettings, SyntheticSettings, TrialSettings

REPORT = Path(__file__).parents[2] / "docs" / "reproductions.md"


@pytest.fixture(params=list(ROWS))
def row(request: pytest.FixtureRequest) -> Row:
    return load_row(request.param)


def tiny(settings: TrialSettings) -> TrialSettings:
    """The row's settings on generated data, for two epochs."""
    data = DataSettings(
        source="synthetic", synthetic=SyntheticSettings(n_users=40, n_items=30, n_shown=15)
    )
    short = {"training.n_iter": 2, "training.eval_every": 1, "model.n_latent": 4}
    return with_values(settings.model_copy(update={"data": data}), short)


def test_a_row_names_what_was_published_where_and_what_must_hold(row: Row) -> None:
    assert load_row(row.name) is row
    assert row.title
    assert len(row.protocol) > 100
    assert row.n_seeds >= 3
    assert row.bars
    if not row.published:  # then it compares methods that are all measured here
        assert all(isinstance(bar, Order) for bar in row.bars)
    for published in row.published:
        assert published.values.keys() <= set(row.metrics)
        assert published.source
    for bar in row.bars:
        assert bar.metric in row.metrics
        if isinstance(bar, Band):
            assert bar.why
            assert bar.low <= bar.high
            assert bar.low > 0 or bar.high < 1


def test_a_row_keeps_its_settings_and_the_search_that_chose_them(row: Row) -> None:
    settings = load_settings(row.name)
    document = load_yaml(settings_path(row.name)).data
    assert document["sweep"]["space"]
    assert document["sweep"]["metric"] == settings.training.monitor
    monitored = f"test/{settings.training.monitor.removeprefix('val/')}"
    assert monitored in row.metrics


def test_a_row_is_measured_from_settings_to_its_section(row: Row, tmp_path: Path) -> None:
    lines: list[str] = []
    result = row.run(tiny(load_settings(row.name)), [1, 2, 3], lines.append)
    assert lines
    assert len(result.judged) == len(row.bars)
    trained = [figures for figures in result.figures if figures.seeds]
    assert trained
    for figures in trained:
        assert figures.seeds == (1, 2, 3)
        assert len(figures.fingerprint) == 64
        assert figures.split
        assert figures.candidates
        assert all(len(values) == 3 for values in figures.values.values())
    for text in (to_text(result), to_markdown(result)):
        for published in row.published:
            assert published.source in text
        assert text.count("met: ") + text.count("MISSED: ") == len(row.bars)
        assert trained[0].fingerprint[:16] in text
    path = write_report(result, tmp_path / "docs", list(ROWS))
    assert f"\n## {row.name}\n" in path.read_text()
    figure = tmp_path / "docs" / "reproductions" / f"{row.name}.png"
    assert figure.is_file() == (row.plot is not None)


def test_the_report_has_a_section_for_each_row(row: Row) -> None:
    text = REPORT.read_text()
    assert f"\n## {row.name}\n" in text
    section = text.partition(f"\n## {row.name}\n")[2].partition("\n## ")[0]
    for part in ("fingerprint", "Each seed:", " ± ", "met: " if "met: " in section else "MISSED: "):
        assert part in section
    assert all(published.source in section for published in row.published)
    if row.plot is not None:
        assert (REPORT.parent / "reproductions" / f"{row.name}.png").is_file()
