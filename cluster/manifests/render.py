"""Manifests from templates, with the user's names and the versions that are installed here."""

import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final, NamedTuple

from hbpr.errors import ConfigError
from hbpr.places import has_secret, is_url
from hbpr.version import __version__

#: How fast a loss is noticed: a silent link after about 9 s (by Ray's defaults 64 s), by a worker
#: that its head is lost after 15 s (60 s): it ends then, is started again and finds the next head.
HEALTH_CHECKS: Final = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
}


class Kind(NamedTuple):
    """A manifest: its template, the file it is usually called, and a line of help."""

    template: str
    file: str
    help: str


KINDS: Final = {
    "raycluster": Kind("raycluster.yaml.j2", "raycluster.yaml", "KubeRay: a cluster that stays."),
    "rayjob": Kind("rayjob.yaml.j2", "rayjob.yaml", "KubeRay: one study on a cluster of its own."),
    "aws": Kind("aws.yaml.j2", "cluster.yaml", "Ray cluster launcher on AWS: ray up."),
    "on-premise": Kind("on_premise.yaml.j2", "cluster.yaml", "Ray cluster launcher on own hosts."),
    "slurm": Kind("slurm.sh.j2", "study.sh", "Slurm batch script: sbatch."),
    "dockerfile": Kind("dockerfile.j2", "Dockerfile", "Image of the nodes, not run as root."),
    "compose": Kind(
        "compose.yaml.j2",
        "compose.yaml",
        "docker compose: head, workers, MLflow with PostgreSQL, Prometheus and Grafana.",
    ),
}


@dataclass(frozen=True)
class Names:
    """What a manifest calls things, and how much of them there is.

    Attributes:
        name: Of the cluster: lower-case letters, digits and dashes.
        image: Container image of the nodes.
        config: Settings file of the study, as the nodes see it.
        shared: Folder that all nodes share, for studies; an absolute path.
        tracking_uri: Of MLflow.
        workers: Most workers.
        cpus: CPUs of a worker.
        gpus: GPUs of a worker.
        memory_gib: Memory of a node in GiB.
        hosts: Head and workers of an on-premise cluster, the head first.
        storage: Where studies are kept: a folder or an address on an object store, with which the
            nodes of KubeRay share no folder; None: ``studies`` in `shared`.
    """

    name: str = "hbpr"
    image: str = f"hbpr:{__version__}"
    config: str = "configs/ml-100k.yaml"
    shared: str = "/shared"
    tracking_uri: str = "http://mlflow:5000"
    workers: int = 4
    cpus: int = 4
    gpus: int = 0
    memory_gib: int = 8
    hosts: tuple[str, ...] = ("head.example.org", "worker-1.example.org")
    storage: str | None = None

    @property
    def studies(self) -> str:
        """Where studies are kept, as ``sweep.storage`` takes it."""
        return self.storage or f"{self.shared.rstrip('/')}/studies"


#: Fields whose values may not hold anything else, as a pattern, and what that is in words.
_WORDS: Final = {
    "name": (
        r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?",
        "up to 40 lower-case letters, digits and dashes, a letter first",
    ),
    "image": (r"[\w][\w.:/@-]*", "a container image such as registry.example.org/hbpr:1.0"),
    "config": (r"[^\s'\"$`\\]+", "a path without spaces, quotes and dollar signs"),
    "shared": (r"/[^\s'\"$`\\:]*", "an absolute path without spaces, quotes, colons and dollars"),
    "tracking_uri": (r"[a-z][a-z0-9+.-]*:[^\s'\"$`\\]+", "a URI such as http://mlflow:5000"),
}
_STORAGE: Final = r"(/|[a-z][a-z0-9]*://)[^\s'\"$`\\:]*"
_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"


def render(kind: str, names: Names) -> str:
    """Return a manifest as text.

    Args:
        kind: One of `KINDS`.
        names: What it calls things.

    Raises:
        ConfigError: A name cannot be used there.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    _check(names)
    environment = Environment(
        loader=PackageLoader("cluster.manifests"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"json": json.dumps, "shell": shlex.quote}
    return environment.get_template(KINDS[kind].template).render(
        **asdict(names),
        studies=names.studies,
        shares_folder=not is_url(names.studies),
        health=HEALTH_CHECKS,
        python=".".join(map(str, sys.version_info[:2])),
        versions={name: version(name).partition("+")[0] for name in ("ray", "torch")},
    )


def _check(names: Names) -> None:
    for field, (pattern, what) in _WORDS.items():
        _match(field, getattr(names, field), pattern, what)
    if names.storage is not None:
        if has_secret(names.storage):
            raise ConfigError(
                "--storage: must not hold a key or password, since everybody who sees the manifest "
                "would see it"
            )
        _match("storage", names.storage, _STORAGE, "an absolute path, or s3://BUCKET/FOLDER")
    for host in names.hosts:
        _match("hosts", host, _HOST, "a host name or an address")
    if not names.hosts:
        raise ConfigError("--host: expected the head and then its workers, got none")


def _match(field: str, value: str, pattern: str, what: str) -> None:
    if not re.fullmatch(pattern, value):
        raise ConfigError(f"--{field.replace('_', '-')}: expected {what}, got {value!r}")
