"""`ray job submit --working-dir . -- python -m tune CONFIG` from a checkout."""

import subprocess
import zipfile
from pathlib import Path

import pytest
from ray._private.runtime_env.packaging import create_package

REPO = Path(__file__).parents[3]


def _submit(head, *entrypoint: str, folder: Path = REPO) -> subprocess.CompletedProcess[str]:
    command = ["ray", "job", "submit", "--address", head.dashboard, "--working-dir", "."]
    return subprocess.run(
        [*command, "--", *entrypoint],
        env=head.env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.ray
@pytest.mark.long
def test_a_study_runs_as_a_job_of_the_uploaded_checkout(token_head, ray_folder: Path) -> None:
    sets = ["sweep.num_trials=3", "training.n_iter=4", "data.synthetic.n_users=150"]
    study = " ".join(["python -m tune configs/quickstart.yaml", *(f"--set {s}" for s in sets)])
    where = "python -c 'import hbpr, tune; print(hbpr.__file__, tune.__file__)'"
    job = _submit(token_head, "sh", "-c", f"{where} && {study}")
    assert job.returncode == 0, job.stdout + job.stderr
    # Both packages come from the upload, not from what is installed on the node.
    files = next(line for line in job.stdout.splitlines() if "hbpr/__init__.py" in line)
    assert files.count("/working_dir_files/_ray_pkg_") == 2
    # Relative paths lie in the job's copy of the checkout, and the user is told.
    (summary,) = ray_folder.glob(
        "head/session_2*/runtime_resources/working_dir_files/*/studies/quickstart/*/summary.json"
    )
    assert "this job's own copy of the checkout" in job.stdout
    assert summary.parent.name in job.stdout  # the log was followed to the study's last lines


@pytest.mark.ray
@pytest.mark.long
def test_a_study_runs_where_hbpr_is_installed_and_the_folder_holds_settings_alone(
    token_head, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "study.yaml").write_text((REPO / "configs" / "quickstart.yaml").read_text())
    sets = [
        "sweep.num_trials=1",
        "training.n_iter=2",
        "data.synthetic.n_users=150",
        f"sweep.storage={tmp_path}/studies",
        f"mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db",
    ]
    words = [word for text in sets for word in ("--set", text)]
    job = _submit(token_head, "python", "-m", "tune", "study.yaml", *words, folder=folder)
    assert job.returncode == 0, job.stdout + job.stderr
    assert len(list(tmp_path.glob("studies/quickstart/*/summary.json"))) == 1


@pytest.mark.ray
@pytest.mark.long
def test_a_jobs_exit_code_says_that_it_failed(token_head) -> None:
    job = _submit(token_head, "python", "-m", "tune", "configs/none.yaml")
    assert job.returncode != 0
    assert "configs/none.yaml" in job.stdout
    assert "failed" in (job.stdout + job.stderr).lower()


def test_the_upload_is_small_and_complete(tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    create_package(str(REPO), package, include_gitignore=True)
    assert package.stat().st_size < 3 * 2**20  # Ray packs without compression
    names = zipfile.ZipFile(package).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {"hbpr", "tune", "cluster", "dashboards", "configs", "pyproject.toml"} <= tops
    assert not tops & {".git", ".venv", "tests", "docs", "studies", "mlflow.db", "mlruns"}
