"""A study that shares no storage: its checkpoints lie on the driver's disk."""

from pathlib import Path
from typing import Any

import pytest

from tune.study import run_study
from tune.study.listen import TrialReport

pytestmark = [pytest.mark.ray, pytest.mark.long, pytest.mark.timeout(600)]

#: A population writes a checkpoint at every interval.
SWEEP = {
    "storage": "driver",
    "scheduler": {"kind": "pbt", "interval": 4, "quantile": 0.25},
    "search": {"algorithm": "random", "seed": 0},
    "num_trials": 4,
    "max_concurrent": 1,
    "space": {"optimizer.lr": {"low": 0.01, "high": 0.5, "log": True}},
}


@pytest.mark.usefixtures("shared_ray", "tracking_uri")
def test_a_trial_whose_process_is_killed_goes_on_from_the_drivers_disk(
    small_study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil
    import ray  # noqa: F401  # brings its own psutil

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    killed: list[int] = []
    reported: list[tuple[int, int]] = []
    on_disk: set[str] = set()

    def watch(event: Any) -> None:
        if not isinstance(event, TrialReport):
            return
        reported.append((event.trial, event.epoch))
        on_disk.update(path.parent.name for path in tmp_path.glob("home/**/trial-*/epoch-*"))
        if event.epoch == 6 and not killed:
            names = {
                process.pid: "".join(process.cmdline())
                for process in psutil.Process().children(recursive=True)
            }
            workers = {pid: name for pid, name in names.items() if name.startswith("ray::")}
            (pid,) = [pid for pid, name in workers.items() if "small" in name or "trial-" in name]
            psutil.Process(pid).kill()
            killed.append(event.trial)

    training = {"n_iter": 12, "eval_every": 2}
    settings = small_study(SWEEP, training=training, model={"n_latent": 8})
    result = run_study(settings, progress=False, callbacks=[watch])
    assert result.folder.is_relative_to(tmp_path / "home" / "hbpr" / "studies" / "small")
    assert len(killed) == 1
    assert "trial-00000" in on_disk
    assert "crashes of a trial's process made good: 1" in result.notes
    assert [trial.number for trial in result.trials] == list(range(len(result.trials)))
    assert {trial.state for trial in result.trials} <= {"COMPLETE", "PRUNED"}
    after = [epoch for number, epoch in reported if number == killed[0]]
    assert after.count(2) == 1, "it did not start anew"
