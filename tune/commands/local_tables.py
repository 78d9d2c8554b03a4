"""Local tables that a job's settings name: taken along, or refused if the head lacks them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cluster.jobs.tables import head_lacks, is_local, upload
from hbpr.data.sources import SOURCES
from hbpr.errors import ConfigError
from tune.space.check import data_settings
from tune.storage.where import DRIVER

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from hbpr.settings.models import DataSettings
    from tune.settings import StudyPlan

#: Paths as the settings give them, by their dotted key.
Tables = Mapping[str, tuple[str, ...]]

_HOW = (
    "Take it along: --upload-data copies it into sweep.storage. Or name a file that the head has, "
    "by its absolute path there, or one on an object store: s3://BUCKET/KEY"
)


def local_tables(plan: "StudyPlan") -> Tables:
    """Return the paths of a study's tables that are not addresses on an object store.

    Raises:
        ConfigError: Such paths are searched, so that no single one could be taken along.
    """
    tables = _paths(plan.base.data)
    for other in data_settings(plan.space, plan.base):
        for key, paths in _paths(other).items():
            if paths != tables.get(key):
                raise ConfigError(
                    f"sweep.space: {key} is searched, and {', '.join(paths)} lies on one machine; "
                    "a job takes tables that are searched from an object store alone: "
                    "s3://BUCKET/KEY"
                )
    return tables


def check_absolute(tables: Tables) -> None:
    """Refuse relative paths, which would lie in the job's own folder.

    Raises:
        ConfigError: One is relative.
    """
    for key, paths in tables.items():
        for path in paths:
            if is_local(path) and not Path(path.removeprefix("file://")).expanduser().is_absolute():
                raise ConfigError(
                    f"{key}: {path!r} lies on this machine, and the job runs on the head. {_HOW}"
                )


def bring(
    client: "JobSubmissionClient", tables: Tables, storage: str, *, upload_data: bool
) -> tuple[str, ...]:
    """Make sure that a job finds its tables; return overrides of settings for it.

    Args:
        client: Of the cluster.
        tables: What `local_tables` found.
        storage: ``sweep.storage``.
        upload_data: Copy them there; otherwise the head must have them.

    Raises:
        ConfigError: The head lacks one, or the storage cannot be written.
        DatasetMissingError: A table to upload is not there.
    """
    if not tables:
        return ()
    if not upload_data:
        _check_head(client, tables, _HOW)
        return ()
    if storage == DRIVER:
        raise ConfigError(
            "--upload-data copies tables into sweep.storage, and driver is a disk of the head. "
            "Give a folder that this machine and the head share, or an object store: --set "
            "sweep.storage=s3://BUCKET/studies"
        )
    new = {key: tuple(_upload(path, storage) for path in paths) for key, paths in tables.items()}
    _check_head(
        client,
        new,
        f"sweep.storage {storage} is a folder of this machine but not the same one on the head. "
        "Give a folder that both share, or an object store: --set sweep.storage=s3://BUCKET/studies",
    )
    return tuple(
        f"{key}={paths[0] if len(paths) == 1 else json.dumps(paths)}" for key, paths in new.items()
    )


def _upload(path: str, storage: str) -> str:
    if not is_local(path):
        return path
    done = upload(path, storage)
    state = "is there already" if done.was_there else "is uploaded"
    click.echo(f"{path} ({done.n_bytes / 1e6:.1f} MB) {state}: {done.path}", err=True)
    return done.path


def _check_head(client: "JobSubmissionClient", tables: Tables, how: str) -> None:
    """Refuse what the head does not have."""
    asked = [path for paths in tables.values() for path in paths if is_local(path)]
    if not asked:
        return
    lacking = head_lacks(client, asked)
    for key, paths in tables.items():
        for path in paths:
            if path in lacking:
                raise ConfigError(f"{key}: the head of the cluster does not have {path}. {how}")


def _paths(data: "DataSettings") -> dict[str, tuple[str, ...]]:
    """Return the paths of tables that data are read from, where one of a table is local."""
    table = data.table
    if table is None or not SOURCES[data.source].reads_table:
        return {}
    found: dict[str, Any] = {"data.table.path": table.path}
    for name in ("user_features", "item_features"):
        described = getattr(table, name)
        if described is not None:
            found[f"data.table.{name}.path"] = described.path
    paths = {key: (each,) if isinstance(each, str) else each for key, each in found.items()}
    return {key: each for key, each in paths.items() if any(map(is_local, each))}
