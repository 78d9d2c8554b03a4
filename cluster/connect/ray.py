"""The Ray that a study runs on: a private one on this machine, or a cluster that is joined.

A private Ray listens on loopback only, asks for a token of its own, keeps its files in a folder of
its own and is gone afterwards; it never finds an address that another process left behind.
"""

import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.connect.capacity import slots_on
from cluster.connect.orphans import sweep_orphans
from cluster.connect.probe import ADDRESS_VARIABLE
from hbpr.errors import ClusterError
from hbpr.files import Lock

if TYPE_CHECKING:
    from ray.job_config import JobConfig

logger = logging.getLogger(__name__)

#: Room for results and messages beside the data, and the least that Ray starts with.
_STORE_SPARE_BYTES = 256 * 2**20
#: Ray's sockets live under the temporary folder and a socket's path holds at most 107 bytes.
_LONGEST_TEMP_PATH = 30
_PREFIX = "hbpr-"
_LOCK = "driver.lock"

#: How Tune is run, wherever the cluster is; a variable that is already exported stays as it is.
_TUNE_ENV = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new reporter prints a box even when told to be silent
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the study ends in order on its own terms
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a diverged trial ends without a metric
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the journal is what a study resumes from
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_PRIVATE_ENV = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on 127.0.0.1 and nowhere else
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class Runtime:
    """What a study can use.

    Attributes:
        cpus: CPUs of all nodes.
        gpus: GPUs of all nodes.
        nodes: (CPUs, GPUs) of each live node.
        private: Whether this process started it, for itself.
        dashboard: How to open its dashboard, in a line; empty where none was asked for.
    """

    cpus: float
    gpus: float
    nodes: tuple[tuple[float, float], ...]
    private: bool
    dashboard: str = ""

    def slots(self, cpu: float, gpu: float) -> int:
        """Return how many trials run at a time; one trial lies on one node.

        Example:
            >>> Runtime(6.0, 0.0, ((3.0, 0.0), (3.0, 0.0)), private=False).slots(2, 0)
            2
        """
        return slots_on(self.nodes, cpu, gpu)


def joins(address: str | None) -> bool:
    """Return whether `ray_runtime` joins a cluster, rather than start a private Ray."""
    return bool(address or os.environ.get(ADDRESS_VARIABLE))


@contextmanager
def ray_runtime(
    address: str | None = None,
    *,
    cpus: int | None = None,
    data_bytes: int = 0,
    dashboard: bool = False,
    job: str | None = None,
    preload: Sequence[str] = (),
    env_vars: Mapping[str, str] | None = None,
    announce: Callable[[str], None] = logger.info,
) -> Iterator[Runtime]:
    """Run the body with Ray at hand, and leave nothing behind.

    A Ray that this process is already connected to is used and left running. Otherwise `address`
    is joined, or RAY_ADDRESS where it is exported (Ray exports it inside a job), or a private Ray
    is started on this machine.

    Args:
        address: ``HOST:PORT`` of a cluster's head, or ``auto`` on one of its nodes.
        cpus: CPUs of a private Ray; None: all of the machine.
        data_bytes: Size of the data that trials will share; sizes a private object store.
        dashboard: Start a private Ray's dashboard, on loopback, and announce its link.
        job: Name of the job in Ray's dashboard.
        preload: Modules that the workers of a private Ray import before they have work.
        env_vars: What workers on a cluster find in their environment beside what is there; those of
            a private Ray find what this process exports.
        announce: Called with what is about to take seconds.

    Raises:
        ClusterError: No cluster answers at the address, or a private Ray did not start.
    """
    with _environment(_TUNE_ENV):
        if "ray" in sys.modules:
            import ray

            if ray.is_initialized():
                yield _describe(private=False)
                return
        origin = "--address" if address else ADDRESS_VARIABLE
        address = address or os.environ.get(ADDRESS_VARIABLE) or None
        announce(f"joining Ray at {address}" if address else "starting Ray on this machine")
        started = (
            _joined(address, origin, _job_config(job, env_vars))
            if address
            else _private(_Wanted(cpus, data_bytes, dashboard, job, tuple(preload)))
        )
        with started as runtime:
            if runtime.dashboard:
                announce(runtime.dashboard)
            yield runtime


@contextmanager
def _joined(address: str, origin: str, job: "JobConfig") -> Iterator[Runtime]:
    import ray

    from cluster.connect.probe import probe

    place = probe(address, origin=origin)
    try:
        with _own_sigterm():
            ray.init(
                address=place,
                job_config=job,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError(
            f"{origin} {address}: the cluster answers but cannot be joined: {error}"
        ) from error
    try:
        yield _describe(private=False)
    finally:
        ray.shutdown()


@dataclass(frozen=True)
class _Wanted:
    """What a private Ray is started with."""

    cpus: int | None
    data_bytes: int
    dashboard: bool
    job: str | None
    preload: tuple[str, ...] = ()


def _job_config(job: str | None, env_vars: Mapping[str, str] | None = None) -> "JobConfig":
    """Return what the dashboard says of this driver, and what its workers find exported."""
    # Whole, before any module in it: where another thread imports Ray meanwhile, as a study's does,
    # `from ray.job_config import` leaves both with half of it.
    import ray

    return ray.job_config.JobConfig(
        metadata={"job_name": job} if job else {},
        runtime_env={"env_vars": dict(env_vars)} if env_vars else None,
    )


@contextmanager
def _private(wanted: _Wanted) -> Iterator[Runtime]:
    base = tempfile.gettempdir()
    base = base if len(base) <= _LONGEST_TEMP_PATH else "/tmp"
    _sweep(base)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
    lock = Lock(Path(folder) / _LOCK)
    lock.acquire(wait=True)
    environment = dict(_PRIVATE_ENV)
    if wanted.preload:
        environment["RAY_preload_python_modules"] = ",".join(wanted.preload)
        # As soon as placement groups hold all CPUs, Ray would end the workers that wait for them.
        environment["RAY_idle_worker_killing_time_threshold_ms"] = "60000"
    if "RAY_AUTH_MODE" not in os.environ:
        token_file = os.path.join(folder, "token")
        with open(os.open(token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token_file}
    try:
        with _reread_by_ray(), _environment(environment):
            _reread_environment()
            import ray

            try:
                _start(folder, wanted)
                sweep_orphans(base, _PREFIX)
                # Not in a thread: what still asks a Ray that has gone ends the process.
                yield replace(_describe(private=True), dashboard=_link(wanted))
            finally:
                ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _sweep(base: str) -> None:
    """Remove the folders of drivers that were killed; a live one holds the lock in its folder."""
    for folder in Path(base).glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid != os.getuid():
                continue
            lock = Lock(folder / _LOCK, create=False)
            is_free = lock.acquire(wait=False)
        except OSError:
            continue  # not one of these, or just being made or removed
        if is_free:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()
            logger.info("removed %s, left by a driver that was killed", folder)


def _link(wanted: _Wanted) -> str:
    """Return the line that says where the dashboard is, and what it asks for; empty without one."""
    if not wanted.dashboard:
        return ""
    from ray._private.worker import get_dashboard_url

    url = get_dashboard_url()
    if not url:
        return "Ray's dashboard did not start; the study runs without it"
    token = os.environ.get("RAY_AUTH_TOKEN_PATH")
    asks = os.environ.get("RAY_AUTH_MODE") == "token" and token
    return f"Ray's dashboard: http://{url}" + (
        f" (it asks for the token in {token})" if asks else ""
    )


def _start(folder: str, wanted: _Wanted) -> None:
    """Start Ray, with a second try: it waits 30 s for its processes and cannot be told to wait on.

    Raises:
        ClusterError: It did not start twice.
    """
    import ray

    for last in (False, True):
        try:
            _try_to_start(folder, wanted)
        except Exception as error:  # a start that takes too long is a bare Exception of Ray's
            _end_processes(folder)
            ray.shutdown()
            if last:
                raise ClusterError(
                    f"a private Ray did not start on this machine, in two tries: {error} "
                    f"{_load_and_memory()}. Most often the machine is too busy or has too little "
                    "free memory: wait for other work or end it, then start again; or join a "
                    "cluster with --address HOST:PORT"
                ) from error
            logger.warning(
                "a private Ray did not start: %s %s: trying again", error, _load_and_memory()
            )
        else:
            return


def _try_to_start(folder: str, wanted: _Wanted) -> None:
    import ray

    with _own_sigterm():
        ray.init(
            address="local",
            num_cpus=wanted.cpus,
            include_dashboard=wanted.dashboard,
            dashboard_host="127.0.0.1",
            job_config=_job_config(wanted.job),
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=_STORE_SPARE_BYTES + 2 * wanted.data_bytes,
            _temp_dir=os.path.join(folder, "ray"),  # Ray opens it for everybody; `folder` is ours
        )


def _end_processes(folder: str) -> None:
    """End what a start that failed left running: processes that name its folder."""
    import psutil  # type: ignore[import-untyped]  # Ray's own copy

    for process in psutil.Process().children(recursive=True):
        try:
            if any(folder in word for word in process.cmdline()):
                process.kill()
        except psutil.NoSuchProcess:
            logger.debug("process %d ended by itself", process.pid)


def _load_and_memory() -> str:
    """Return how busy the machine is."""
    import psutil

    memory = psutil.virtual_memory()
    return (
        f"Load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs; free memory: "
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB"
    )


def _describe(*, private: bool) -> Runtime:
    import ray

    total = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((float(has.get("CPU", 0.0)), float(has.get("GPU", 0.0))) for has in total)
    return Runtime(
        cpus=sum(cpu for cpu, _ in nodes),
        gpus=sum(gpu for _, gpu in nodes),
        nodes=nodes,
        private=private,
    )


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep what SIGTERM does: `ray.init` makes it an exit at once, and a study ends in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:  # None: it was not set from Python
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Export what is not exported yet, and take it back afterwards."""
    ours = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)


@contextmanager
def _reread_by_ray() -> Iterator[None]:
    """Afterwards let Ray see the environment that is there then."""
    try:
        yield
    finally:
        _reread_environment()


def _reread_environment() -> None:
    """Let Ray see the environment as it is now: it reads it once, when it is imported."""
    from ray import _raylet
    from ray._private import ray_constants

    _raylet.Config.initialize("")  # type: ignore[attr-defined]
    _raylet.AuthenticationTokenLoader.instance().reset_cache()  # type: ignore[attr-defined]
    asked = os.environ.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
    ray_constants.ENABLE_RAY_CLUSTER = (
        not ray_constants.IS_WINDOWS_OR_OSX if asked is None else asked.lower() in ("1", "true")
    )
