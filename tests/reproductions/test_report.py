"""Figures, bars and sections on numbers worked by hand."""

import dataclasses

import pytest

from hbpr.reproductions import Band, Figures, Order, Published, Result, Row
from hbpr.reproductions.render import put_section, to_markdown, to_text
from hbpr.settings.models import TrialSettings

AUC = "test/auc"


def figures(label: str, *values: float) -> Figures:
    seeds = tuple(range(1, 1 + len(values))) if len(values) > 1 else ()
    return Figures(label, seeds, {AUC: values}, "random, seed 0", "abc" * 20, "all items")


def result(*bars: Band | Order) -> Result:
    row = Row(
        name="toy",
        title="A toy",
        protocol="Two methods.",
        metrics=(AUC,),
        published=(Published("theirs", {AUC: 0.5}, "a paper, table 1"),),
        bars=bars,
        measure=lambda settings, seeds, say: (),
    )
    measured = (figures("ours", 0.6, 0.7, 0.8), figures("popularity", 0.55))
    return Result(row, TrialSettings(), measured)


def test_mean_and_deviation_are_over_the_seeds() -> None:
    ours = figures("ours", 0.6, 0.7, 0.8)
    assert ours.mean(AUC) == pytest.approx(0.7)
    assert ours.deviation(AUC) == pytest.approx(0.1)
    assert figures("popularity", 0.55).deviation(AUC) is None


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (Band("ours", AUC, low=0.69), True),
        (Band("ours", AUC, low=0.71), False),
        (Band("ours", AUC, low=0.6, high=0.65), False),
        (Order("ours", "popularity", AUC), True),
        (Order("popularity", "ours", AUC), False),
        (Order("ours", "ours", AUC), False),
        (Order("popularity", "ours", AUC, ties=0.2), True),
    ],
)
def test_a_bar_is_met_or_said_to_be_missed(bar: Band | Order, met: bool) -> None:
    found = result(bar)
    assert [holds for _, holds in found.judged] == [met]
    word = "met: auc of" if met else "MISSED: auc of"
    assert word in to_text(found)
    assert f"- {word}" in to_markdown(found)


def test_ours_stands_beside_the_published_figure() -> None:
    text = to_markdown(result(Band("ours", AUC, low=0.5, why="theirs")))
    assert "| here: ours | .7000 ± .1000 | 3 |" in text
    assert "| here: popularity | .5500 | none needed |" in text
    assert "| published: theirs | .5 |  |" in text
    assert "- theirs: a paper, table 1" in text
    assert "| ours | 2 | .7000 |" in text


def test_each_split_of_its_own_has_its_fingerprint() -> None:
    several = dataclasses.replace(figures("ours", 0.6, 0.7), fingerprints=("1" * 64, "2" * 64))
    text = to_markdown(dataclasses.replace(result(), figures=(several,)))
    assert f"; fingerprints {'1' * 16}, {'2' * 16}; " in text


def test_a_section_replaces_itself_and_keeps_its_place() -> None:
    report = "# Report\n\n## a\n\none\n\n### inside\n\n## c\n\nthree\n"
    order = ["a", "b", "c"]
    with_b = put_section(report, "b", "## b\n\ntwo\n", order)
    assert with_b == "# Report\n\n## a\n\none\n\n### inside\n\n## b\n\ntwo\n\n## c\n\nthree\n"
    assert put_section(with_b, "b", "## b\n\ntwo\n", order) == with_b
    assert "one" not in put_section(with_b, "a", "## a\n\nnew\n", order)
