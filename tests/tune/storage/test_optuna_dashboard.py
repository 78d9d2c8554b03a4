"""The journal of a study opens in optuna-dashboard as it is."""

import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tune.storage.journal import DriverJournal, DriverStorage
from tune.storage.names import JOURNAL


def ask(app: Any, path: str) -> Any:
    """Return what the dashboard answers as its pages ask for it."""
    environment: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environment)
    statuses: list[str] = []
    body = b"".join(app(environment, lambda status, headers, *rest: statuses.append(status)))
    assert statuses[0].startswith("200"), statuses
    return json.loads(body) if path.startswith("/api") else body


def test_the_journal_opens_in_it(tmp_path: Path) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    own = DriverStorage(DriverJournal(tmp_path / JOURNAL))
    study = optuna.create_study(storage=own, study_name="films", direction="maximize")
    for value in (0.1, 0.3):
        trial = study.ask()
        trial.suggest_float("optimizer.lr", 0.001, 1.0, log=True)
        trial.report(value / 2, 5)
        study.tell(trial, value)
    stopped = study.ask()
    stopped.report(0.05, 5)
    study.tell(stopped, state=optuna.trial.TrialState.PRUNED)

    app = dashboard.wsgi(JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL))))
    (listed,) = ask(app, "/api/studies")["study_summaries"]
    assert listed["study_name"] == "films"
    shown = ask(app, f"/api/studies/{listed['study_id']}")
    assert [trial["state"] for trial in shown["trials"]] == ["Complete", "Complete", "Pruned"]
    assert b"<html" in ask(app, "/dashboard").lower()
