"""Find the head of a Ray cluster and check in seconds that it will have us.

``ray.init`` retries a wrong token for 20 seconds, and a port that is not Ray's for minutes.
"""

import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hbpr.errors import ClusterError

ADDRESS_VARIABLE: Final = "RAY_ADDRESS"
_FILE: Final = "address file"
_HOST_PORT: Final = re.compile(r"(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


def probe(address: str, *, origin: str = "--address", timeout_s: float = 3.0) -> str:
    """Check that a Ray cluster answers at an address, takes our token and fits our versions.

    Args:
        address: ``HOST:PORT`` of the head (6379 where nothing else was said), or ``auto``.
        origin: Who gave the address, an option or a variable.
        timeout_s: Seconds to wait for the connection, and again for the answer.

    Returns:
        The address as ``HOST:PORT``, for ``ray.init``.

    Raises:
        ClusterError: No answer, not a Ray head, a missing or wrong token, or other versions.
    """
    if address == "auto":
        address, source = _found(origin)
    else:
        source = f"{origin}={address}" if origin == ADDRESS_VARIABLE else f"{origin} {address}"
    asked = _host_and_port(address, origin)
    place = _as_ray_sees(asked)
    refusal = _refusal(place, timeout_s)
    if refusal is not None:
        raise ClusterError(
            f"{source}: nothing answers at {_text(place)} ({refusal}). "
            + (
                f"A head listens at {_text(asked)} alone: export "
                "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, as where it was started."
                if place != asked and _refusal(asked, timeout_s) is None
                else "Is the head running (ray start --head), and is this the address it printed?"
            )
            + _way_out(source)
        )
    _check_versions(source, _cluster_metadata(source, _text(place), timeout_s))
    return _text(place)


def _text(place: tuple[str, int]) -> str:
    return f"{place[0]}:{place[1]}"


def _refusal(place: tuple[str, int], timeout_s: float) -> str | None:
    """Return why no connection is possible, None where it is."""
    try:
        socket.create_connection((place[0].strip("[]"), place[1]), timeout=timeout_s).close()
    except OSError as error:
        return "timed out" if isinstance(error, TimeoutError) else str(error.strerror or error)
    return None


def _as_ray_sees(place: tuple[str, int]) -> tuple[str, int]:
    """Ray takes a loopback address for this machine's outer one, unless told to stay inside."""
    from ray._private.services import resolve_ip_for_localhost

    return resolve_ip_for_localhost(place[0]), place[1]


def _found(origin: str) -> tuple[str, str]:
    """Return the address that ``auto`` stands for, and where it was found."""
    from ray._common.utils import get_ray_address_file
    from ray._private.services import canonicalize_bootstrap_address
    from ray._private.utils import read_ray_address

    exported = os.environ.get(ADDRESS_VARIABLE)
    if exported and exported != "auto":
        return exported, f"{origin} auto ({ADDRESS_VARIABLE}={exported})"
    try:
        address = canonicalize_bootstrap_address("auto") or ""
    except (ConnectionError, ValueError) as error:
        raise ClusterError(
            f"{origin} auto: no running Ray was found on this machine. Start one with "
            "ray start --head, or give HOST:PORT of the head."
        ) from error
    written = read_ray_address()
    if written and _same(written, address):
        return address, f"{origin} auto ({_FILE} {get_ray_address_file(None)}: {written})"
    return address, f"{origin} auto (a Ray that runs on this machine: {address})"


def _same(written: str, address: str) -> bool:
    """Whether an address that a head wrote down is this one, in Ray's own form."""
    from ray._private.services import canonicalize_bootstrap_address

    return address in (written, canonicalize_bootstrap_address(written))


def _way_out(source: str) -> str:
    """Say what to do about an address that nobody gave by hand."""
    if _FILE in source:
        return (
            f" The {_FILE} may be left over from a Ray that has ended: remove it, or give "
            "HOST:PORT."
        )
    if ADDRESS_VARIABLE in source:
        return (
            f" The address is exported as {ADDRESS_VARIABLE}: unset it to start a private Ray here."
        )
    return ""


def _host_and_port(address: str, origin: str) -> tuple[str, int]:
    """Read an address; every other form gets the one to use instead."""
    match = _HOST_PORT.fullmatch(address)
    if match is not None and 0 < (port := int(match["port"])) < 65536:
        return match["host"], port
    if address.startswith(("http://", "https://")):
        hint = "That is a dashboard: it takes ray job submit --address. Give the head's HOST:6379."
    elif address.startswith("ray://"):
        hint = (
            "A study runs on a node of its cluster, not through a Ray client. Use HOST:6379 there; "
            "from elsewhere ray job submit --address http://HOST:8265 --working-dir . -- "
            "python -m tune CONFIG."
        )
    else:
        hint = "For example 10.0.0.5:6379, or auto for the Ray that runs on this machine."
    raise ClusterError(f"{origin}: expected HOST:PORT of a Ray head, got {address!r}. {hint}")


def _cluster_metadata(source: str, place: str, timeout_s: float) -> dict[str, Any]:
    """Ask the head for its description: one call that needs the token and answers in milliseconds.

    The call and its key are Ray's own and may move with its version; this is the one place.
    """
    import grpc
    from ray._common.usage.usage_constants import CLUSTER_METADATA_KEY
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.ray_constants import KV_NAMESPACE_CLUSTER
    from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc
    from ray.exceptions import AuthenticationError

    request = gcs_service_pb2.InternalKVGetRequest(  # type: ignore[attr-defined]
        key=CLUSTER_METADATA_KEY, namespace=KV_NAMESPACE_CLUSTER
    )
    try:
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        with init_grpc_channel(place) as channel:
            stub = gcs_service_pb2_grpc.InternalKVGcsServiceStub(channel)
            reply = stub.InternalKVGet(request, timeout=timeout_s)
    except AuthenticationError as error:
        raise _token_error(source) from error
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise _token_error(source) from error
        raise ClusterError(
            f"{source}: something listens at {place}, but it does not answer as a Ray "
            f"head ({error.code().name}). The head's port is the one that ray start --head "
            "printed for ray start --address, usually 6379; 8265 is the dashboard."
        ) from error
    metadata = json.loads(reply.value) if reply.value else {}
    return metadata if isinstance(metadata, dict) else {}


def token_state() -> str:
    """Say which token is shown to a cluster, never the token itself."""
    mode, path = os.environ.get("RAY_AUTH_MODE"), os.environ.get("RAY_AUTH_TOKEN_PATH")
    default = Path.home() / ".ray" / "auth_token"
    if mode is not None and mode != "token":
        return f"RAY_AUTH_MODE is {mode!r}, so no token was shown"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "the token in RAY_AUTH_TOKEN is not the cluster's"
    if path:
        return f"RAY_AUTH_TOKEN_PATH={path} " + (
            "does not hold the cluster's token" if Path(path).is_file() else "is not a file"
        )
    if default.is_file():
        return f"{default} does not hold the cluster's token"
    return f"RAY_AUTH_TOKEN_PATH is not set and {default} does not exist"


def _token_error(source: str) -> ClusterError:
    return ClusterError(
        f"{source}: the cluster asks for a token: {token_state()}. Copy the head's token into a "
        "file, then: export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=FILE"
    )


def _check_versions(source: str, metadata: Mapping[str, Any]) -> None:
    """Ray must be the same version, Python the same minor version: both pickle to each other."""
    import ray

    theirs = str(metadata.get("ray_version", "")), str(metadata.get("python_version", ""))
    ours = ray.__version__, ".".join(map(str, sys.version_info[:3]))
    if not all(theirs):  # an older or newer head that does not say; ray.init compares once more
        return
    if theirs[0] != ours[0] or theirs[1].split(".")[:2] != ours[1].split(".")[:2]:
        raise ClusterError(
            f"{source}: the cluster runs Ray {theirs[0]} on Python {theirs[1]}, this "
            f"program Ray {ours[0]} on Python {ours[1]}. Ray must be the same version and Python "
            "the same minor version: install the cluster's here, or start the cluster with these."
        )
