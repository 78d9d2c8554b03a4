"""The same application in Ray Serve: replicas on a cluster, or on a Ray of this machine's own.

The driver keeps the part of the parent: it finds the model, puts its files into Ray's object store,
and tells an actor; replicas follow the actor as processes follow the parent's file.
"""

import contextlib
import logging
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster.connect.ray import ray_runtime
from cluster.model_files import read_files
from cluster.serving.plan import ServerPlan, WorkerPlan
from cluster.serving.shelf import ACTOR, PublishedActor, Shelf
from cluster.serving.supervisor import exported
from hbpr.errors import ClusterError, ConfigError, HbprError
from hbpr.inference.locate import find_model, version_of
from hbpr.inference.packing import check_folder

_log = logging.getLogger(__name__)

_NAME: Final = "hbpr"
#: A busy machine is slow, not broken: Ray Serve would end and start its proxies again and again.
_PATIENT: Final = {
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}
_TICK_S: Final = 0.25


def serve_on_ray(
    plan: ServerPlan,
    place: tuple[str, int],
    address: str | None,
    replicas: int,
    say: Callable[[str], None],
) -> int:
    """Serve in Ray until SIGINT or SIGTERM; SIGHUP looks the model up again.

    Args:
        plan: What is served; `workers` is of no use here.
        place: Host and port that Ray Serve's proxies listen on.
        address: Cluster to join; None: a private Ray on this machine.
        replicas: Processes that answer.
        say: Told what happens.

    Returns:
        The exit code.

    Raises:
        ConfigError: Ray Serve is not installed.
        HbprError: There is no model, or the replicas do not start with it.
    """
    with exported(_PATIENT):  # Ray Serve reads them when it is imported
        try:
            import ray.serve
        except ImportError as error:
            raise ConfigError(
                "hbpr serve --ray: Ray Serve is not installed; pip install 'hbpr[serve]'"
            ) from error
    with (
        exported(_PATIENT),
        ray_runtime(address, env_vars=_PATIENT, announce=say),
        _signals() as asked_to,
        _replicas(plan, place, replicas) as driver,
    ):
        host, port = place
        scheme = "http" if plan.worker.tls_cert is None else "https"
        say(f"serving {plan.model} at {scheme}://{host}:{port} (stop with Ctrl-C)")
        looked = time.monotonic()
        while not asked_to["stop"]:
            due = plan.poll_s and time.monotonic() - looked > plan.poll_s
            forced, asked_to["reload"] = asked_to["reload"] or bool(due), False
            try:
                if driver.follow(forced=forced):
                    looked = time.monotonic()
            except ray.exceptions.RayError as error:
                raise HbprError(f"hbpr serve --ray: the cluster is lost: {error}") from error
            time.sleep(_TICK_S)
    return 0


@dataclass
class _Driver:
    plan: ServerPlan
    shelf: Any
    version: str = ""

    def publish(self) -> None:
        import ray

        with tempfile.TemporaryDirectory(prefix="hbpr-serve-") as temporary:
            located = find_model(self.plan.model, Path(temporary), self.plan.tracking_uri)
            check_folder(located.folder, allow=self.plan.worker.allow)
            reference = ray.put(read_files(located.folder))
        ray.get(self.shelf.publish.remote(located.version, [reference]))
        self.version = located.version

    def follow(self, *, forced: bool) -> bool:
        """Look the model up if someone asks; return whether that was done."""
        import ray

        asked = ray.get(self.shelf.asked.remote())
        if not (asked or forced):
            return False
        problem = None
        try:
            if version_of(self.plan.model, self.plan.tracking_uri) != self.version:
                self.publish()
        except Exception as error:  # noqa: BLE001 - of MLflow, its store, a disk: serving goes on
            problem = str(error)
            _log.error("the model cannot be looked up, the old one stays: %s", error)
        ray.get(self.shelf.answer.remote(asked, problem))
        return True


@contextlib.contextmanager
def _replicas(plan: ServerPlan, place: tuple[str, int], replicas: int) -> Iterator[_Driver]:
    """Start the actor and the replicas; they are gone afterwards."""
    import ray
    from ray import serve

    _check_alone()
    shelf: Any = ray.remote(num_cpus=0)(Shelf).options(name=ACTOR).remote()
    driver = _Driver(plan, shelf)
    try:
        driver.publish()
        try:
            _start(plan.worker, place, replicas)
        except (RuntimeError, TimeoutError, ray.exceptions.RayError) as error:
            raise HbprError(f"hbpr serve --ray: the replicas did not start: {error}") from error
        yield driver
    finally:
        serve.shutdown()
        ray.kill(shelf)


def _start(worker: WorkerPlan, place: tuple[str, int], replicas: int) -> None:
    """Start Ray Serve and the replicas in it, and wait until they answer."""
    from ray import serve

    host, port = place
    _start_proxies(
        {
            "host": host,
            "port": port,
            "ssl_certfile": None if worker.tls_cert is None else str(worker.tls_cert),
            "ssl_keyfile": None if worker.tls_key is None else str(worker.tls_key),
        }
    )
    deployment: Any = serve.deployment(
        serve.ingress()(Replica),
        name=_NAME,
        num_replicas=replicas,
        max_ongoing_requests=100,
        ray_actor_options={
            "num_cpus": 1,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": "1"}},
        },
    )
    serve.run(deployment.bind(worker), name=_NAME, route_prefix="/")


def _check_alone() -> None:
    """Refuse a cluster where Ray Serve runs: its address and certificate would hold, not ours.

    Raises:
        ClusterError: It does.
    """
    import ray
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

    try:
        ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    except ValueError:
        return
    raise ClusterError(
        "hbpr serve --ray: Ray Serve runs on this cluster already, with an address and a "
        "certificate of its own. End it there (serve shutdown), or serve from another cluster"
    )


def _start_proxies(http: dict[str, Any]) -> None:
    """Start Ray Serve; it waits a minute for its proxies and cannot be told to wait on."""
    from ray import serve

    for last in (False, False, False, True):
        try:
            serve.start(http_options=http, logging_config={"enable_access_log": False})
        except TimeoutError:
            if last:
                raise
            _log.warning("Ray Serve's proxies are slow to start on this machine: waiting on")
        else:
            return


class Replica:
    """What Ray Serve holds in a process: the application, with a model from the actor.

    Args:
        plan: What it needs to know.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        import ray

        from cluster.serving.holder import Holder

        self._plan = plan
        self._holder = Holder(PublishedActor(ray.get_actor(ACTOR)), allow=plan.allow)
        self._holder.load()

    def __serve_build_asgi_app__(self) -> Any:
        from cluster.serving.app import create_app

        plan = self._plan
        return create_app(
            self._holder, token=plan.token, max_body=plan.max_body, access_log=plan.access_log
        )


@contextlib.contextmanager
def _signals() -> Iterator[dict[str, bool]]:
    asked = {"stop": False, "reload": False}

    def stop(*_: object) -> None:
        asked["stop"] = True

    def reload(*_: object) -> None:
        asked["reload"] = True

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGHUP: reload}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
