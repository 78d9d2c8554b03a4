"""The parent of a server: it finds the model, keeps the processes alive, and publishes new models.

Each process has a listening socket of its own at the same port, so the system shares connections
out evenly. The parent holds all of them: what waits at the socket of a process that died is
answered by its successor.
"""

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from cluster.serving.plan import ServerPlan, WorkerPlan
from cluster.serving.published import Published, PublishedFile
from cluster.serving.worker import run_worker
from hbpr.errors import ConfigError, HbprError
from hbpr.inference.locate import find_model, version_of

_log = logging.getLogger(__name__)

_TICK_S: Final = 0.1
#: A process that dies sooner after its start than this would only die again.
_SOON_S: Final = 5.0
#: Each process computes in one thread, and memory of a model goes back when the next one is there.
_WORKER_ENV: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}


@dataclass
class _Worker:
    listener: socket.socket
    ready: Path
    process: BaseProcess | None = None
    started: float = 0.0
    fast_deaths: int = 0
    has_answered: bool = False


@dataclass
class _Look:
    asked: list[str]
    thread: threading.Thread
    problem: str | None = None


@dataclass
class Supervisor:
    """Runs a server; `run` returns when it has ended.

    Attributes:
        plan: What it does.
        listeners: A listening socket for each process.
        say: Told once when all processes answer.
    """

    plan: ServerPlan
    listeners: list[socket.socket]
    say: Callable[[], None]
    _stop: bool = False
    _reload: bool = False
    _workers: list[_Worker] = field(default_factory=list)

    def run(self) -> int:
        """Serve until SIGINT or SIGTERM; SIGHUP looks the model up again.

        Returns:
            The exit code.

        Raises:
            HbprError: There is no model, or no process can be started with it.
        """
        with tempfile.TemporaryDirectory(prefix="hbpr-serve-") as temporary, self._signals():
            shared = PublishedFile(Path(temporary))
            shared.prepare()
            self._generation = 0
            metrics_folder = Path(temporary) / "metrics"
            metrics_folder.mkdir()
            self._workers = [
                _Worker(listener, Path(temporary) / f"ready-{number}")
                for number, listener in enumerate(self.listeners)
            ]
            worker_plan = replace(self.plan.worker, shared=shared.folder)
            try:
                with exported({"PROMETHEUS_MULTIPROC_DIR": str(metrics_folder)}):
                    for worker in self._workers:  # they import while the model is looked up
                        self._keep_alive(worker, worker_plan)
                    self._publish(shared)
                    self._watch(shared, worker_plan)
            finally:
                self._end_all()
        return 0

    def _watch(self, shared: PublishedFile, plan: WorkerPlan) -> None:
        said, looked = False, time.monotonic()
        look: _Look | None = None
        while not self._stop:
            for worker in self._workers:
                self._keep_alive(worker, plan)
            if not said and all(worker.has_answered for worker in self._workers):
                said = True
                self.say()
            if look is not None and not look.thread.is_alive():
                shared.answer(look.asked, look.problem)
                look, looked = None, time.monotonic()
            if look is None:
                asked = shared.asked()
                is_due = bool(self.plan.poll_s) and time.monotonic() - looked > self.plan.poll_s
                forced, self._reload = bool(asked) or self._reload, False
                if forced or is_due:
                    look = self._start_look(shared, asked, forced)
            time.sleep(_TICK_S)

    def _start_look(self, shared: PublishedFile, asked: list[str], forced: bool) -> "_Look":
        """Look the model up in a thread: a registry that hangs keeps no dead process waiting."""

        def work() -> None:
            look.problem = self._look_again(shared, forced)

        look = _Look(asked, threading.Thread(target=work, daemon=True))
        look.thread.start()
        return look

    def _look_again(self, shared: PublishedFile, forced: bool) -> str | None:
        """Publish the model if it is another one; return what went wrong."""
        try:
            version = version_of(self.plan.model, self.plan.tracking_uri)
            if version != shared.current().version:
                self._publish(shared)
            elif forced:
                _log.warning("the model is the same as before: %s", version)
        except Exception as error:  # noqa: BLE001 - of MLflow, its store, a disk: serving goes on
            _log.error("the model cannot be looked up, the old one stays: %s", error)
            return str(error)
        return None

    def _publish(self, shared: PublishedFile) -> None:
        """Bring the model here, check that it can be read, and publish it."""
        from hbpr.inference.packing import check_folder

        generation = self._generation + 1
        into = shared.folder / f"model-{generation}"
        into.mkdir()
        try:
            located = find_model(self.plan.model, into, self.plan.tracking_uri)
            own = into / "copy"
            if not located.folder.is_relative_to(into):
                # A copy, no link: who writes over the files must not change what is served.
                shutil.copytree(located.folder, own)
                located = located._replace(folder=own)
            check_folder(located.folder, allow=self.plan.worker.allow)
        except BaseException:
            shutil.rmtree(into, ignore_errors=True)  # the next look makes it anew
            raise
        shared.publish(Published(generation, located.folder, located.version))
        self._generation = generation
        old = shared.folder / f"model-{generation - 2}"
        shutil.rmtree(old, ignore_errors=True)  # the last but one: no process reads it any more

    def _keep_alive(self, worker: _Worker, plan: WorkerPlan) -> None:
        process = worker.process
        if process is not None:
            worker.has_answered = worker.has_answered or worker.ready.exists()
            if process.is_alive():
                return
            soon = time.monotonic() - worker.started < _SOON_S or not worker.ready.exists()
            worker.fast_deaths = worker.fast_deaths + 1 if soon else 0
            if worker.fast_deaths >= 3 or not worker.has_answered:
                raise HbprError(
                    f"a process of the server ended with code {process.exitcode} at its start; "
                    "what it wrote above says why"
                )
            _log.error(
                "process %s ended with code %s and is started again", process.pid, process.exitcode
            )
            _forget(process)
        worker.ready.unlink(missing_ok=True)
        context = multiprocessing.get_context("spawn")
        started = context.Process(
            target=run_worker, args=(plan, worker.listener, worker.ready), daemon=True
        )
        with exported(_WORKER_ENV):
            started.start()
        worker.process, worker.started = started, time.monotonic()

    def _end_all(self) -> None:
        processes = [each.process for each in self._workers if each.process is not None]
        for process in processes:
            if process.is_alive():
                process.terminate()  # uvicorn answers what is under way
        for process in processes:
            process.join(12)
            if process.is_alive():
                process.kill()
        for listener in self.listeners:
            listener.close()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(*_: object) -> None:
            self._stop = True

        def reload(*_: object) -> None:
            self._reload = True

        handlers = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGHUP: reload}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def listen(host: str, port: int, n: int) -> list[socket.socket]:
    """Take a port n times over, before anything else: a taken one is an error at once.

    Raises:
        ConfigError: It cannot be had.
    """
    listeners: list[socket.socket] = []
    try:
        address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        family, kind, protocol, _, place = address
        # asyncio turns Nagle's delay (40 ms an answer) off only where the protocol is named.
        with socket.socket(family, kind, protocol) as probe:  # others may share a shared port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            place = probe.getsockname()
        for _ in range(n):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(place)
            listener.listen(2048)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise ConfigError(
            f"hbpr serve: cannot listen on {host} port {port}: {error.strerror or error}. "
            "Choose another with --port, or 0 for a free one"
        ) from error
    return listeners


def url_of(listener: socket.socket, *, tls: bool) -> str:
    """Return the address that a socket listens on."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _forget(process: BaseProcess) -> None:
    """Let the figures of a process that died go, but for what it counted."""
    if process.pid is not None:
        from prometheus_client.multiprocess import mark_process_dead

        with contextlib.suppress(OSError):
            mark_process_dead(process.pid)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def exported(values: Mapping[str, str]) -> Iterator[None]:
    """Export what processes started within find, unless it is exported already."""
    ours = {key: value for key, value in values.items() if key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)
