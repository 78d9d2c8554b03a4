"""Trials run in the processes that a private Ray started ahead, and in no others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

_PROGRAM = """
import json, sys
from pathlib import Path
import hbpr

seen = set()

def look(event):
    import psutil
    for process in psutil.Process().children(recursive=True):
        maps = Path(f"/proc/{process.pid}/maps")
        if "libtorch_cpu" in maps.read_text():
            seen.add(process.pid)

if __name__ == "__main__":
    pairs = [(user, (user + k) % 30) for user in range(40) for k in range(8)]
    sold = {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}
    data = hbpr.UserItemData.from_frame(sold)
    hbpr.search(
        data,
        space={"optimizer.lr": [0.01, 0.02, 0.03, 0.05]},
        num_trials=4,
        base={
            "training": {"n_iter": 2},
            "mlflow": {"tracking_uri": f"sqlite:///{Path('m.db').absolute()}"},
        },
        cpus=2,
        callbacks=[look],
        progress=False,
    )
    print(len(seen))
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc")
def test_no_process_imports_torch_in_vain(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(_PROGRAM)
    done = subprocess.run(
        [sys.executable, "study.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) == 2, done.stdout
