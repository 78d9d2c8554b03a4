"""A study file with a model, a loss and a metric of one's own on a cluster of two nodes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[3]
GUIDE = REPO / "docs" / "guides" / "your-own-parts.md"

#: Prints the node of each actor that the cluster has had.
ACTORS = """
import json, sys, ray
from ray._private.state import actors
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
print(json.dumps([[a["ActorClassName"], a["Address"]["NodeID"]] for a in actors().values()]))
"""


def _python(folder: Path, env: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        env=env | {"PYTHONPATH": str(REPO)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_they_are_found_on_both_nodes(two_nodes: Any, tmp_path: Path) -> None:
    """The nodes have not started in the folder of the module, so it travels."""
    (study,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    (tmp_path / "study.yaml").write_text(study)
    shutil.copy(REPO / "tests" / "extensions" / "my_parts.py", tmp_path)
    options = ["--set", "sweep.storage=studies", "--set", "sweep.num_trials=6"]
    options += ["--set", "sweep.final.top=2", "--set", "sweep.final.seeds=2", "--no-progress"]
    words = ["tune", "study.yaml", "--address", two_nodes.address, *options]
    _python(tmp_path, two_nodes.env, "-c", "from hbpr.cli.main import main; main()", *words)

    listed = json.loads(_python(tmp_path, two_nodes.env, "-c", ACTORS, two_nodes.address))
    assert len({node for name, node in listed if name.startswith("hbpr ")}) == 2, listed
    (summary,) = tmp_path.glob("studies/*/*/summary.json")
    found = json.loads(summary.read_text())
    assert {trial["state"] for trial in found["trials"]} <= {"COMPLETE", "PRUNED"}
    assert found["winner"]["validation"]["val/early_hit_at_10"] > 0
    assert "test/early_hit_at_10" in found["winner"]["test"]
