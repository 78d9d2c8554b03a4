"""Ray's dashboard, in a browser, shows a submitted study by its name: the job, and its actors.

HBPR_PICTURES=FOLDER keeps what it looked like, as docs/guides/pictures do.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.long]

REPO = Path(__file__).parents[3]
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 300_000


@pytest.fixture
def page(token_head) -> Iterator[Any]:
    """A page of a browser that has the cluster's token."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: the dashboard is not opened")
    token = Path(token_head.env["RAY_AUTH_TOKEN_PATH"]).read_text().strip()
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        context = opened.new_context(viewport={"width": 1440, "height": 760})
        context.add_cookies(
            [{"name": "ray-authentication-token", "value": token, "url": token_head.dashboard}]
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        yield page
        opened.close()


def _hbpr(head, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hbpr", *words, "--address", head.dashboard],
        env=head.env | {"PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"},
        cwd=head.env["RAY_TMPDIR"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_study_is_seen_by_its_name(token_head, page: Any, tmp_path: Path) -> None:
    sets = [
        "sweep.num_trials=4",
        "sweep.scheduler.kind=none",
        "training.n_iter=2000",
        "training.early_stopping_patience=0",
        f"sweep.storage={tmp_path}/studies",
        f"mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db",
    ]
    words = [word for text in sets for word in ("--set", text)]
    told = _hbpr(token_head, "submit", str(REPO / "configs" / "quickstart.yaml"), *words)
    found = re.search(r"job (quickstart-(\S+)) is submitted", told)
    assert found is not None
    job, study = found.groups()
    try:
        for name, *shown in (
            ("jobs", job),
            ("actors", f"quickstart {study}", re.compile(r"ALIVE x [2-9]")),
        ):
            page.goto(f"{token_head.dashboard}/#/{name}")
            for text in shown:
                page.get_by_text(text).first.wait_for()
            page.wait_for_timeout(1_500)  # tables fill row by row
            if "HBPR_PICTURES" in os.environ:
                page.screenshot(path=f"{os.environ['HBPR_PICTURES']}/ray-dashboard-{name}.png")
    finally:
        _hbpr(token_head, "jobs", "stop", job)
