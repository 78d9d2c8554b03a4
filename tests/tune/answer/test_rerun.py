import contextlib
from pathlib import Path

import pytest

from hbpr.settings.models import TrialSettings
from hbpr.tracking.records import TrialRecord
from tune.answer.finalists import repeat_trial
from tune.answer.rerun import _wanted
from tune.study import run_study


@pytest.mark.ray
@pytest.mark.usefixtures("shared_ray", "tracking_uri")
def test_a_seed_that_fails_costs_its_trial_the_comparison_and_nothing_else(
    small_study, monkeypatch, runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag = tmp_path / "failed"

    def fail_once(settings, data, threads, schedule):
        if settings.training.seed == 2:
            with contextlib.suppress(FileExistsError):
                flag.touch(exist_ok=False)  # of two at once, one alone
                raise ValueError("no luck")
        return repeat_trial(settings, data, threads, schedule)

    monkeypatch.setattr("tune.answer.rerun.repeat_trial", fail_once)
    sweep = {"final": {"top": 2, "seeds": 3}, "num_trials": 2}
    result = run_study(small_study(sweep), progress=True)
    (finalist,) = result.finalists
    assert result.best.number == finalist.number
    failed = 1 - finalist.number
    expected = {f"repeat-{finalist.number:03d}-seed-{seed}" for seed in (1, 2, 3)}
    expected |= {f"repeat-{failed:03d}-seed-1"}
    assert {name for name in runs() if name.startswith("repeat")} == expected
    (note,) = (note for note in result.notes if "seed" in note)
    assert note == f"trial {failed} failed with seed 2 and is no finalist: ValueError: no luck"
    assert note in (result.folder / "summary.txt").read_text()
    assert "finalists: 4 of 4 done; " in capsys.readouterr().out


def test_a_trial_without_a_seed_is_repeated_once():
    trials = [
        TrialRecord(number=n, values={"model.kind": kind}, state="COMPLETE", value=0.1)
        for n, kind in enumerate(("ease", "ials"))
    ]
    wanted = [(trial.number, seed) for trial, seed in _wanted(trials, TrialSettings(), 3)]
    assert wanted == [(0, 1), (1, 1), (1, 2), (1, 3)]
