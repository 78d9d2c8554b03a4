import json

import pytest
from scipy.stats import ttest_1samp

from dashboards import MLflowPlotter
from dashboards.commands import compare
from hbpr.cli.main import run

METRIC = "val/ndcg_at_10"


def study(lab, name: str, experiment: str, base: float, lr: float, exam: str = "a") -> list[float]:
    """Add a study of one trial, repeated with three seeds."""
    tags = {"hbpr.exam": exam, "hbpr.data": exam}
    settings = {"training": {"seed": 0}, "sweep": {"space": {}}, "data": {"name": exam}}
    own = tags | {"hbpr.settings": json.dumps(settings)}
    lab.run("study", [], {}, kind="study", study=name, experiment=experiment, tags=own)
    values = [base, base + 0.01, base - 0.02, base + 0.015 * lr]
    params = {"optimizer.lr": lr, "model.n_latent": 8}
    lab.run("trial-0", values[:1], params, study=name, experiment=experiment, tags=tags)
    for seed, value in enumerate(values[1:], 1):
        repeat = tags | {"hbpr.repeat_of": "0", "hbpr.seed": str(seed)}
        lab.run(
            f"r-{seed}",
            [value],
            params,
            kind="repeat",
            study=name,
            experiment=experiment,
            tags=repeat,
        )
    return values


def test_the_test_is_paired_where_seeds_match(lab, capsys: pytest.CaptureFixture[str]) -> None:
    one = study(lab, "s1", "films", 0.30, 0.1)
    other = study(lab, "s2", "more", 0.25, 0.9)
    found = MLflowPlotter(lab.uri).compare("films", "more/s2-id").found[0]
    assert found.settings == (("optimizer.lr", "0.1", "0.9"),)
    assert found.metrics == ((METRIC, 0.3, 0.25),)
    p = ttest_1samp([a - b for a, b in zip(one[1:], other[1:], strict=True)], 0.0).pvalue
    assert "left - right = +0.0500 (the left one is better)" in found.verdict
    assert "Paired over 3 other seeds that both have: +0.0460 (95 %" in found.verdict
    assert f"p = {p:.2g}" in found.verdict
    assert run(compare, ["films", "more", "--tracking-uri", lab.uri]) == 0
    said = capsys.readouterr().out
    assert "optimizer.lr" in said
    assert "Paired over 3 other seeds" in " ".join(said.split())


def test_other_data_do_not_compare(lab, capsys: pytest.CaptureFixture[str]) -> None:
    study(lab, "s1", "films", 0.30, 0.1)
    study(lab, "s2", "books", 0.25, 0.9, exam="b")
    found = MLflowPlotter(lab.uri).compare("films", "books")
    assert found.found == ()
    assert found.apart == (
        "They do not compare: no run of one was judged on what the other was.",
        "Only on the left: a.",
        "Only on the right: b.",
    )
    assert run(compare, ["films", "books", "--tracking-uri", lab.uri]) == 0
    assert "They do not compare" in capsys.readouterr().out
    assert run(compare, ["films", "bookz", "--tracking-uri", lab.uri]) == 2
    assert "Did you mean 'books'?" in capsys.readouterr().err


def test_each_data_that_both_sides_have_is_compared_whatever_group_is_the_largest(
    lab, capsys: pytest.CaptureFixture[str]
) -> None:
    study(lab, "s1", "both", 0.30, 0.1)
    study(lab, "s2", "both", 0.90, 0.2, exam="b")
    study(lab, "s3", "other", 0.25, 0.9)
    study(lab, "s4", "other", 0.85, 0.8, exam="c")
    study(lab, "s5", "other", 0.80, 0.7, exam="c")
    found = MLflowPlotter(lab.uri).compare("both", "other")
    assert [each.data for each in found.found] == ["a"]
    assert found.found[0].metrics == ((METRIC, 0.3, 0.25),)
    assert found.apart == ("Only on the left: b.", "Only on the right: c.")
    assert "left - right = +0.0500" in found._repr_html_()
    assert run(compare, ["both", "other", "--tracking-uri", lab.uri]) == 0
    said = capsys.readouterr().out
    assert said.startswith("On a")
    assert "Only on the right: c." in said
