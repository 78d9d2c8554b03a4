"""`hbpr submit`: a study as a job of a cluster."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cluster.jobs.command import address_option, started
from hbpr.cli.options import config_argument, set_option
from hbpr.errors import ConfigError
from hbpr.places import is_url

if TYPE_CHECKING:
    from tune.settings import StudyPlan


@click.command(
    epilog="""\b
Examples:
  hbpr submit configs/ml-100k.yaml --address http://10.0.0.5:8265 --follow \\
      --set sweep.storage=/shared/studies --set mlflow.tracking_uri=http://10.0.0.5:5000
  hbpr jobs list --address http://10.0.0.5:8265
""",
)
@config_argument
@set_option
@address_option
@click.option(
    "--upload-data",
    is_flag=True,
    help="Copy tables of this machine into sweep.storage first, once for the same content.",
)
@click.option("--follow", is_flag=True, help="Follow the job's log; its exit code is ours.")
def submit(
    config: Path, overrides: tuple[str, ...], address: str, upload_data: bool, follow: bool
) -> int:
    """Run the study that CONFIG describes as a job of a cluster.

    The settings are checked here first. A job that is started again goes on with its study. The
    nodes have hbpr; run from a checkout, its code goes along. Data are read on the head: tables on
    an object store where they are, those of this machine with --upload-data.
    """
    from cluster.jobs.client import EXPERIMENT, FOLDER, HEADS_HOME, STUDY, connect
    from cluster.jobs.client import submit as start
    from cluster.jobs.upload import CONFIG
    from tune.commands.local_tables import bring, check_absolute, local_tables
    from tune.settings import load_study
    from tune.storage.folder import new_id
    from tune.storage.where import DRIVER, experiment_name, study_address

    plan = load_study(config, overrides)
    check_places(plan)
    tables = local_tables(plan)
    if not upload_data:
        check_absolute(tables)
    client = connect(address)
    storage = plan.settings.sweep.storage
    overrides += bring(client, tables, storage, upload_data=upload_data)
    experiment, study = plan.settings.mlflow.experiment_name, new_id()
    words = ["python", "-m", "tune", CONFIG, "--resume-or-start", study, "--no-progress"]
    for text in overrides:
        words += ["--set", text]
    address = study_address(plan.settings, study)
    if storage == DRIVER:
        address = f"{HEADS_HOME}/hbpr/studies/{experiment_name(plan.settings)}/{study}"
    metadata = {
        "job_name": f"{experiment} {study}",
        EXPERIMENT: experiment,
        STUDY: study,
        FOLDER: address,
    }
    job = start(client, f"{_plain(experiment)}-{study}", shlex.join(words), metadata, config)
    return started(client, job, address, follows=follow)


def check_places(plan: "StudyPlan") -> None:
    """Refuse what would be lost or seen: relative places, since a job's folder goes; passwords.

    Raises:
        ConfigError: A place cannot be used by a job.
    """
    from hbpr.tracking.store import mask_uri
    from tune.storage.where import DRIVER

    storage, uri = plan.settings.sweep.storage, plan.settings.mlflow.tracking_uri
    if storage != DRIVER and not is_url(storage) and not Path(storage).is_absolute():
        raise ConfigError(
            f"sweep.storage: {storage!r} would lie in the job's own folder, which Ray deletes some "
            "time after the job. Give a folder that all nodes share or an object store, for "
            "example --set sweep.storage=/shared/studies, or s3://BUCKET/studies"
        )
    if uri.startswith("sqlite:///") and uri.startswith(f"sqlite:///{Path.cwd().absolute()}/"):
        raise ConfigError(
            f"mlflow.tracking_uri: {uri} lies in this folder, which the cluster does not have. "
            "Give a server or a file that the head has, for example "
            "--set mlflow.tracking_uri=sqlite:////shared/mlflow.db"
        )
    if mask_uri(uri) != uri:
        raise ConfigError(
            f"mlflow.tracking_uri: the password in {mask_uri(uri)} would be seen by everybody who "
            "sees the cluster's jobs. Leave it out, and export MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD where the nodes are started"
        )


def _plain(name: str) -> str:
    """Return a name that can stand in addresses and file names."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:60] or "study"
