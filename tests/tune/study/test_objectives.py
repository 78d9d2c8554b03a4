"""A real study of several objectives: its front, its records, its pages, and going on with it."""

import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from hbpr.errors import ConfigError, StudyError
from tune.commands.study import study
from tune.forecast.curves import read_curves
from tune.study import run_study

N_ITEMS = 50
NDCG, BYTES, GINI = "val/ndcg_at_10", "item_vector_bytes", "val/gini_at_10"
SEVERAL = {
    "objectives": [{"metric": NDCG}, {"metric": BYTES}],
    "limits": {BYTES: {"max": 4 * 4 * N_ITEMS}},
    "search": {"algorithm": "nsga2"},
    "space": {"model.n_latent": [1, 2, 4, 8], "optimizer.lr": {"low": 0.01, "high": 0.5}},
    "max_concurrent": 1,
}


def read(path: Path, query: str) -> list[tuple[str, ...]]:
    with sqlite3.connect(path / "mlflow.db") as database:
        return sorted(database.execute(query).fetchall())


@pytest.mark.ray
@pytest.mark.usefixtures("shared_ray", "tracking_uri")
class TestStudy:
    def test_from_settings_to_a_front(self, small_study, tmp_path: Path) -> None:
        settings = small_study(SEVERAL | {"num_trials": 10})
        result = run_study(settings, progress=False)

        assert {trial.state for trial in result.trials} == {"COMPLETE"}
        for trial in result.trials:
            assert trial.at_best[BYTES] == 4 * N_ITEMS * trial.values["model.n_latent"]
            assert trial.at_best[NDCG] == trial.value
        able = [trial for trial in result.trials if trial.values["model.n_latent"] <= 4]
        assert 0 < len(able) < 10
        front = {t.number for t in able if not any(_beats(o.at_best, t.at_best) for o in able)}
        assert {trial.number for trial in result.front} == front
        assert result.best.number == result.front[0].number
        assert result.best.value == max(trial.value for trial in able)
        assert result.system.model.item_vectors().nbytes == result.best.at_best[BYTES]

        tags = "select r.name, t.value from runs r join tags t on r.run_uuid = t.run_uuid where "
        tagged = read(tmp_path, tags + "t.key = 'hbpr.front' and r.name like 'trial%'")
        assert tagged == [
            (f"trial-{t.number:03d}", "true" if t.number in front else "false")
            for t in result.trials
        ]
        sizes = read(
            tmp_path,
            "select r.name, max(m.value) from runs r join metrics m on r.run_uuid = m.run_uuid "
            f"where m.key = '{BYTES}' group by r.name",
        )
        assert [size for _, size in sizes] == [trial.at_best[BYTES] for trial in result.trials]

        summary = json.loads((result.folder / "summary.json").read_text())
        assert summary["findings"]["front"] == [t.number for t in result.front]
        assert summary["goals"]["limits"] == [{"metric": BYTES, "least": None, "most": 800.0}]
        shown = CliRunner().invoke(study, ["show", str(result.folder)]).output
        page = (result.folder / "summary.html").read_text()
        for words in (
            f"Pareto front: {len(front)} of 10 trials; the champion is trial {result.best.number}",
            f"outside: {10 - len(able)} of 10 trials",
            f"{result.best.at_best[BYTES]:,.0f}",
        ):
            assert words in " ".join(shown.split())
            assert words in page
        assert 'id="figure-front"' in page
        with pytest.raises(ConfigError, match="a replay compares trials by one metric"):
            read_curves(result.folder)

        more = settings.sweep.model_copy(update={"num_trials": 20})
        again = run_study(
            settings.model_copy(update={"sweep": more}), progress=False, resume=result.folder
        )
        assert [t.measured for t in again.trials[:10]] == [t.measured for t in result.trials]
        assert len(again.trials) == 20
        assert list(again.importance) == [NDCG, BYTES]
        page, text = ((again.folder / f"summary.{kind}").read_text() for kind in ("html", "txt"))
        for metric in (NDCG, BYTES):
            assert f"What mattered to {metric}" in page
            assert f"Mattered to {metric}: " in text

    def test_finalists_are_of_the_front(self, small_study) -> None:
        sweep = SEVERAL | {"limits": {}, "search": {"algorithm": "tpe"}, "num_trials": 8}
        final = {"top": 2, "seeds": 2}
        result = run_study(small_study(sweep | {"final": final}), progress=False)
        front = [trial.number for trial in result.front]
        assert {each.number for each in result.finalists} == set(front[:2])
        assert result.best.number == result.finalists[0].number

    def test_one_that_is_better_when_lower(self, small_study) -> None:
        goals = {
            "objectives": [{"metric": NDCG}, {"metric": GINI}],
            "limits": {"val/arp_at_10": {"max": 1e6}},
        }
        final = {"top": 2, "seeds": 2}
        result = run_study(small_study(goals | {"num_trials": 8, "final": final}), progress=False)
        able = [(t.number, t.at_best[NDCG], t.at_best[GINI]) for t in result.trials]
        front = {
            number
            for number, ndcg, gini in able
            if not any(n >= ndcg and g <= gini and (n, g) != (ndcg, gini) for _, n, g in able)
        }
        assert {trial.number for trial in result.front} == front
        ordered = [trial.at_best[GINI] for trial in result.front]
        assert ordered == sorted(ordered, reverse=True)  # the best by NDCG first
        assert {each.number for each in result.finalists} <= front
        for metrics in (each.metrics for each in result.finalists):
            assert 0.0 < metrics[GINI] < 1.0
        assert result.system.evaluate("test") == pytest.approx(result.test_metrics)
        for each in result.record.baselines:
            assert {GINI, "val/arp_at_20"} <= each.validation.keys()
            assert {"test/gini_at_10", "test/arp_at_20"} <= each.test.keys()
        page, text = ((result.folder / f"summary.{kind}").read_text() for kind in ("html", "txt"))
        for shown in (page, text):
            assert "gini_at_10" in shown
            assert "arp_at_20" in shown

    def test_a_limit_on_what_scoring_takes(self, small_study) -> None:
        limits = {"score_cpu_ms": {"max": 1000.0}, "val/recall_at_20": {"min": 0.0}}
        result = run_study(small_study({"limits": limits, "num_trials": 2}), progress=False)
        assert result.front == []
        assert all(0.0 < trial.at_best["score_cpu_ms"] < 1000.0 for trial in result.trials)
        assert (
            result.validation_metrics["val/recall_at_20"]
            == (result.best.at_best["val/recall_at_20"])
        )

    def test_no_trial_is_inside(self, small_study, tmp_path: Path) -> None:
        sweep = SEVERAL | {"limits": {BYTES: {"max": 10.0}}, "num_trials": 3}
        with pytest.raises(StudyError, match=r"none of 3 trials is inside of sweep.limits"):
            run_study(small_study(sweep), progress=False)
        (folder,) = (tmp_path / "studies" / "small").iterdir()
        shown = CliRunner().invoke(study, ["show", str(folder)])
        assert shown.exit_code == 0
        assert "unfinished, trials: 3 of 3, best: \n" in shown.output


def _beats(one: dict[str, float], other: dict[str, float]) -> bool:
    as_good = one[NDCG] >= other[NDCG] and one[BYTES] <= other[BYTES]
    return as_good and one != other
