"""The jobs of a cluster: connect, submit, follow, stop, start again.

Ray's own `JobSubmissionClient` does it; here is what a user reads where it cannot.
"""

import asyncio
import json
import re
import shlex
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cluster.connect.probe import token_state
from cluster.jobs.upload import package
from hbpr.errors import ClusterError

if TYPE_CHECKING:
    from ray.dashboard.modules.job.pydantic_models import JobDetails
    from ray.job_submission import JobSubmissionClient

#: Keys of a job's metadata.
EXPERIMENT: Final = "hbpr-experiment"
STUDY: Final = "hbpr-study"
FOLDER: Final = "hbpr-folder"

#: What a folder on the head's own disk begins with; the shell of a job knows where it is.
HEADS_HOME: Final = "${XDG_DATA_HOME:-$HOME/.local/share}"
#: What every job's driver gets: time to end a study in order when the job is stopped.
ENVIRONMENT: Final = {"RAY_JOB_STOP_SIGNAL": "SIGTERM", "RAY_JOB_STOP_WAIT_TIME_S": "60"}

_ENDED: Final = ("SUCCEEDED", "FAILED", "STOPPED")
#: Of a shell: ended by Ctrl-C or a request to stop.
_STOPPED_CODE: Final = 130


def connect(address: str, *, timeout_s: float = 5.0) -> "JobSubmissionClient":
    """Return a client of the cluster whose dashboard is at an address.

    Args:
        address: Such as ``http://10.0.0.5:8265``.
        timeout_s: Seconds to wait for an answer.

    Raises:
        ClusterError: Nothing or something else answers, or the token is missing or wrong.
    """
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.authentication.http_token_authentication import (
        get_auth_headers_if_auth_enabled,
    )
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    if not re.fullmatch(r"https?://[^/\s@]+/?", address):
        raise ClusterError(
            f"--address: expected the dashboard of a cluster's head, such as "
            f"http://10.0.0.5:8265, got {address!r}"
        )
    try:
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        headers = get_auth_headers_if_auth_enabled({})
    except AuthenticationError as error:
        raise ClusterError(f"--address {address}: {token_state()}") from error
    _ask(address.rstrip("/"), headers, timeout_s)
    return JobSubmissionClient(address.rstrip("/"))


def _ask(address: str, headers: dict[str, str], timeout_s: float) -> None:
    """Ask for the list of jobs, which needs the token; raise in plain words if that fails."""
    request = urllib.request.Request(f"{address}/api/version", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            json.load(answer)["ray_version"]
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise ClusterError(
                f"--address {address}: the cluster asks for a token: {token_state()}. Copy the "
                "head's token into a file, then: export RAY_AUTH_MODE=token "
                "RAY_AUTH_TOKEN_PATH=FILE"
            ) from error
        raise ClusterError(f"--address {address}: {_NOT_RAY} (HTTP {error.code})") from error
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"--address {address}: nothing answers there "
            f"({getattr(reason, 'strerror', None) or reason}). Is the head running, and does its "
            "dashboard listen for others (ray start --head --dashboard-host 0.0.0.0)?"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"--address {address}: {_NOT_RAY}") from error


_NOT_RAY: Final = (
    "what answers there is not Ray's dashboard. It is the one at port 8265 that ray start --head "
    "prints; 6379 takes --address of hbpr tune"
)


def submit(
    client: "JobSubmissionClient",
    job: str,
    command: str,
    metadata: dict[str, str],
    config: Path | None = None,
) -> str:
    """Start a job; return its id.

    Args:
        client: Of the cluster.
        job: Its id.
        command: For a shell of the head.
        metadata: What the cluster shows of it.
        config: Settings file that goes along as `cluster.jobs.upload.CONFIG`.
    """
    with package(config) as file:
        return client.submit_job(
            entrypoint=command,
            submission_id=job,
            runtime_env={"working_dir": str(file), "env_vars": dict(ENVIRONMENT)},
            metadata=metadata,
        )


def details(client: "JobSubmissionClient", job: str) -> "JobDetails":
    """Return what the cluster knows of a job.

    Raises:
        ClusterError: It knows no such job.
    """
    try:
        return client.get_job_info(job)
    except RuntimeError as error:
        known = [each.submission_id for each in studies(client)]
        raise ClusterError(
            f"job {job}: the cluster knows no such job; it has "
            + (", ".join(str(each) for each in known) or "none of hbpr")
        ) from error


def studies(client: "JobSubmissionClient") -> "list[JobDetails]":
    """Return the jobs that `submit` made, oldest first."""
    jobs = [job for job in client.list_jobs() if STUDY in (job.metadata or {})]
    return sorted(jobs, key=lambda job: job.start_time or 0)


def again(client: "JobSubmissionClient", job: str) -> str:
    """Go on with the study of an ended job, by its folder, in a new one; return that one's id.

    Raises:
        ClusterError: There is no such job, it has not ended, or its study has come to its result.
    """
    old = details(client, job)
    metadata = dict(old.metadata or {})
    if STUDY not in metadata:
        raise ClusterError(f"job {job}: hbpr submit did not make it, so it has no study to resume")
    if old.status not in _ENDED:
        raise ClusterError(f"job {job}: is {old.status}; only a job that has ended can be resumed")
    if old.status == "SUCCEEDED":
        raise ClusterError(f"job {job}: has come to its result; see hbpr jobs logs {job}")
    first = re.sub(r"-again-\d+$", "", job)
    taken = {each.submission_id for each in client.list_jobs()}
    number = next(n for n in range(1, len(taken) + 2) if f"{first}-again-{n}" not in taken)
    folder = metadata[FOLDER]
    quoted = f'"{folder}"' if folder.startswith(HEADS_HOME) else shlex.quote(folder)
    command = f"python -m hbpr study resume {quoted} --no-progress"
    return submit(client, f"{first}-again-{number}", command, metadata)


def follow(client: "JobSubmissionClient", job: str, write: Callable[[str], None]) -> int:
    """Write a job's log until it ends; return its exit code.

    Args:
        client: Of the cluster.
        job: Its id.
        write: Called with pieces of the log.
    """

    async def tail() -> None:
        async for lines in client.tail_job_logs(job):
            write(lines)

    asyncio.run(tail())
    return wait(client, job)


def wait(client: "JobSubmissionClient", job: str, *, poll_s: float = 0.5) -> int:
    """Wait until a job has ended; return its exit code, 130 where it was stopped."""
    while (now := details(client, job)).status not in _ENDED:
        time.sleep(poll_s)
    return exit_code(now)


def exit_code(job: Any) -> int:
    """Return the exit code of a job that has ended; 1 where its driver left none."""
    if job.status == "SUCCEEDED":
        return 0
    if job.status == "STOPPED":
        return _STOPPED_CODE
    return int(job.driver_exit_code or 1)
