"""What a server is asked to do: plain values, for the parent and for each process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

#: What the access log holds: nothing, requests without ids, or paths as they came.
AccessLog = Literal["off", "routes", "paths"]


@dataclass(frozen=True)
class WorkerPlan:
    """What a process needs to know.

    Attributes:
        shared: The folder of `cluster.serving.published.PublishedFile`.
        allow: Modules that classes of models may be imported from.
        token: What clients must send; None: nothing.
        max_body: Most bytes of a body.
        access_log: What is logged of a request.
        tls_cert: Certificate chain; None: plain HTTP.
        tls_key: Its private key.
    """

    shared: Path
    allow: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)  # a secret
    max_body: int = 2**20
    access_log: AccessLog = "off"
    tls_cert: Path | None = None
    tls_key: Path | None = None


@dataclass(frozen=True)
class ServerPlan:
    """What a server does.

    Attributes:
        model: The model by any name, see `hbpr.inference.load`.
        tracking_uri: MLflow; None: the default.
        workers: Processes that answer.
        poll_s: Seconds between two looks whether the model's name means another one; 0: none.
        worker: What each process needs to know; `shared` is filled in here.
    """

    model: str
    worker: WorkerPlan
    tracking_uri: str | None = None
    workers: int = 1
    poll_s: float = 0.0
