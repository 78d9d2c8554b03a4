"""hbpr's side: a whole study, as ``hbpr tune`` runs it, with its records in MLflow."""

import json
from pathlib import Path
from typing import Any

from search_common import main
from search_model import METRIC, SPACE, data_of, sections

from tune.settings import StudySettings
from tune.study import run_study


def search(request: dict[str, Any]) -> dict[str, Any]:
    """Run the study, and read its records."""
    settings = StudySettings.model_validate(
        {
            **sections(request),
            "mlflow": {
                "experiment_name": "speed",
                "tracking_uri": f"sqlite:///{Path.cwd() / 'mlflow.db'}",
            },
            "sweep": {
                "metric": METRIC,
                "search": {"algorithm": "tpe", "seed": request["seed"]},
                "scheduler": {"kind": "none"},
                "num_trials": request["trials"],
                "space": {
                    key: {"low": low, "high": high, "log": True}
                    for key, (low, high) in SPACE.items()
                },
                "final": {"refit": "none", "register_model": False},
            },
        }
    )
    result = run_study(settings, data=data_of(request), cpus=request["cpus"], progress=False)
    return read_events(result.folder) | {"states": result.states, "best": result.best.value}


def read_events(folder: Path) -> dict[str, Any]:
    """Read a study's records: when trials began and ended, and each evaluation's seconds."""
    begins: list[float] = []
    ends: list[float] = []
    work: list[tuple[float, float]] = []
    for line in (folder / "outbox" / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event.get("trial") is None:
            continue
        at = event["at"] / 1000
        if event["event"] == "start":
            begins.append(at)
        elif event["event"] == "end":
            ends.append(at)
        else:
            metrics = event["metrics"]
            work.append((at, metrics["time/train_s"] + metrics["time/eval_s"]))
    return {"first": min(begins), "ends": sorted(ends), "work": work}


if __name__ == "__main__":
    main(search)
