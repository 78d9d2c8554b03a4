"""A process that starts slowly gets its trial, beside one that ends a trial every second."""

import os
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest
from ray import tune as ray_tune
from ray.tune.search import BasicVariantGenerator

from tune.study.own_process import starting_processes_kept
from tune.study.ray_run import _many_pending

pytestmark = pytest.mark.ray

START_S, TRIAL_S, N_TRIALS = 4.0, 0.7, 14
SECOND_BEGINS_S = 120.0  # a process may take long to begin where other tests run beside this one


class Short(ray_tune.Trainable):
    """A trial that takes less time than all processes but the first take to start."""

    def setup(self, config: dict) -> None:
        started = Path(config["folder"]) / f"started-{os.getpid()}"
        first = not any(started.parent.glob("started-*"))
        started.touch()
        if not first:
            time.sleep(START_S)

    def reset_config(self, new_config: dict) -> bool:
        return True

    def step(self) -> dict:
        with (Path(self.config["folder"]) / "steps").open("a") as steps:
            steps.write(f"{os.getpid()}\n")
        begun = time.monotonic()
        while not self.second_began() and time.monotonic() - begun < SECOND_BEGINS_S:
            time.sleep(0.05)
        time.sleep(TRIAL_S)
        return {"done": True}

    def second_began(self) -> bool:
        return len(list(Path(self.config["folder"]).glob("started-*"))) > 1

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("kept", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_process_that_starts_is_kept(tmp_path: Path, kept: bool) -> None:
    with starting_processes_kept() if kept else nullcontext(), _many_pending():
        ray_tune.run(
            Short,
            config={"folder": str(tmp_path)},
            num_samples=N_TRIALS,
            search_alg=BasicVariantGenerator(max_concurrent=2),
            resources_per_trial={"cpu": 1},
            reuse_actors=True,
            storage_path=str(tmp_path / "tune"),
            checkpoint_config=ray_tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        )
    steps = Counter((tmp_path / "steps").read_text().split())
    assert steps.total() == N_TRIALS
    started = len(list(tmp_path.glob("started-*")))
    if kept:
        assert started == len(steps) == 2
    else:  # once Tune keeps them by itself, our part of it can go
        assert started > 2
