"""The processes of a server: new models without a dropped request, dead processes, odd requests."""

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from cluster.serving import holder as holder_module
from cluster.serving import supervisor
from cluster.serving.command import serve
from cluster.serving.holder import Holder
from cluster.serving.plan import ServerPlan, WorkerPlan
from cluster.serving.published import Published, PublishedFile
from cluster.serving.supervisor import Supervisor
from hbpr.cli.main import run
from hbpr.inference.folder import read_about, write_about

from .conftest import TOKEN, make_system, serving

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path / "token"


def with_foreign_class(folder: Path) -> None:
    """Write over a model's file: a class that is not hbpr's, with checksums that are right."""
    about = read_about(folder)
    about["settings"]["model"]["kind"] = "antigravity:fly"
    write_about(folder, about)


def test_a_class_that_is_not_allowed_is_refused_before_anything_starts(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_foreign_class(study / "model")
    assert run(serve, [str(study), "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert "its code is not part of hbpr and would run here" in said
    assert "--allow antigravity" in said


@pytest.fixture
def parent(study: Path, tmp_path: Path) -> tuple[Supervisor, PublishedFile]:
    """A parent that has published its model, without processes."""
    folder = tmp_path / "shared"
    folder.mkdir()
    shared = PublishedFile(folder)
    shared.prepare()
    made = Supervisor(ServerPlan(str(study), WorkerPlan(folder)), [], lambda: None)
    made._generation = 0
    made._publish(shared)
    return made, shared


def test_what_cannot_be_loaded_is_not_published(
    parent: tuple[Supervisor, PublishedFile], study: Path
) -> None:
    made, shared = parent
    before = shared.current()
    with_foreign_class(study / "model")
    problem = made._look_again(shared, forced=True)
    assert problem is not None
    assert "its code is not part of hbpr" in problem
    assert shared.current() == before
    assert [path.name for path in shared.folder.glob("model-*")] == ["model-1"]


def test_whatever_fails_in_a_look_the_old_model_stays(
    parent: tuple[Supervisor, PublishedFile],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made, shared = parent

    def fails(*_: Any) -> str:
        raise RuntimeError("the registry is out of order")

    monkeypatch.setattr(supervisor, "version_of", fails)
    with caplog.at_level(logging.ERROR):
        assert made._look_again(shared, forced=False) == "the registry is out of order"
    assert "the old one stays: the registry is out of order" in caplog.text
    assert shared.current().generation == 1


def test_a_look_that_hangs_keeps_nobody_waiting(
    parent: tuple[Supervisor, PublishedFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shared = parent
    looking, go_on = threading.Event(), threading.Event()

    def hangs(*_: Any) -> str:
        looking.set()
        go_on.wait(60)
        return shared.current().version

    monkeypatch.setattr(supervisor, "version_of", hangs)
    made._reload = True
    watching = threading.Thread(target=made._watch, args=(shared, made.plan.worker))
    watching.start()
    try:
        assert looking.wait(60)
        made._stop = True
        watching.join(60)
        assert not watching.is_alive()
    finally:
        go_on.set()


def test_a_process_goes_on_following_whatever_a_look_raises(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder_module, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(holder_module, "_AGAIN_S", 0.05)

    class Flaky:
        """Says at the third look that there is a second model, which is there at the second try."""

        looks, tries = 0, 0

        def generation(self) -> int:
            self.looks += 1
            if self.looks < 3:
                raise RuntimeError("gone for a moment")
            return 2

        def current(self) -> Published:
            if not self.looks:
                return Published(1, study / "model", "first")
            self.tries += 1
            if self.tries == 1:
                raise RuntimeError("gone while it is fetched")
            return Published(2, study / "model", "second")

        async def ask(self) -> None:
            raise NotImplementedError

    publisher = Flaky()
    holder = Holder(publisher)
    assert holder.load().generation == 1

    async def follow() -> None:
        watching = asyncio.create_task(holder.watch())
        while holder.now is None or holder.now.generation == 1:
            assert not watching.done()
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(asyncio.wait_for(follow(), 60))
    assert publisher.tries == 2


def test_a_token_is_not_shown() -> None:
    plan = ServerPlan("model", replace(WorkerPlan(Path()), token=TOKEN))
    assert TOKEN not in repr(plan)


@pytest.mark.slow
def test_a_new_model_is_taken_and_a_dead_process_replaced(study: Path, token: Path) -> None:
    with serving(study, "--workers", 2, "--token-file", token) as (process, url, _):
        first = httpx.get(f"{url}/ready").json()["model"]
        make_system(seed=1).save(study / "model")
        answer = httpx.post(f"{url}/reload", headers=HEADERS, timeout=60)
        assert answer.status_code == 200
        assert answer.json()["model"] != first
        eventually(url, lambda versions: versions == {answer.json()["model"]})

        make_system(seed=2).save(study / "model")
        process.send_signal(signal.SIGHUP)
        eventually(url, lambda versions: versions.isdisjoint({first, answer.json()["model"]}))

        with_foreign_class(study / "model")
        refused = httpx.post(f"{url}/reload", headers=HEADERS, timeout=60)
        assert refused.status_code == 409
        assert "its code is not part of hbpr" in refused.json()["detail"]

        shutil.rmtree(study / "model")
        refused = httpx.post(f"{url}/reload", headers=HEADERS, timeout=60)
        assert refused.status_code == 409
        assert "no model yet" in refused.json()["detail"]
        assert httpx.get(f"{url}/recommend/1", headers=HEADERS).status_code == 200

        before = workers_of(process.pid)
        os.kill(next(iter(before)), signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(workers_of(process.pid) - before) < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(8):
            assert httpx.get(f"{url}/ready", timeout=60).status_code == 200
        text = httpx.get(f"{url}/metrics", headers=HEADERS).text
        assert re.search(r'hbpr_requests_total{.*"/ready",status="200"} \d', text)


@pytest.mark.slow
def test_a_poll_finds_the_new_model(study: Path) -> None:
    with serving(study, "--poll", 0.2) as (_, url, _):
        assert httpx.get(f"{url}/recommend/1?k=2", timeout=20).json()["user"] == 1
        first = httpx.get(f"{url}/ready").json()["model"]
        make_system(seed=1).save(study / "model")
        eventually(url, lambda versions: first not in versions and len(versions) == 1)


class Clients:
    """Kept connections that ask one after the other, and count what does not come."""

    def __init__(self, url: str, n: int) -> None:
        self._place, self._n = urlsplit(url), n
        self.answered, self.broken, self.refused = 0, 0, list[bytes]()
        self.connections = 0

    async def ask_until(self, done: "asyncio.Future[None] | asyncio.Task[None]") -> None:
        await asyncio.gather(*(self._one(done, number) for number in range(self._n)))

    async def _one(self, done: "asyncio.Future[None]", number: int) -> None:
        reader = writer = None
        request = f"GET /recommend/{number}?k=5 HTTP/1.1\r\nHost: x\r\n"
        request += f"Authorization: Bearer {TOKEN}\r\n\r\n"
        while not done.done():
            try:
                if writer is None:
                    place = self._place
                    reader, writer = await asyncio.open_connection(place.hostname, place.port)
                    self.connections += 1
                assert reader is not None
                writer.write(request.encode())
                head = await reader.readuntil(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", head.lower())
                assert found is not None, head
                await reader.readexactly(int(found[1]))
            except (OSError, EOFError):
                self.broken += 1
                writer = None
                continue
            self.answered += 1
            if not head.startswith(b"HTTP/1.1 200"):
                self.refused.append(head)
        if writer is not None:
            writer.close()


@pytest.mark.slow
def test_five_reloads_drop_no_request(study: Path, token: Path) -> None:
    with serving(study, "--workers", 2, "--token-file", token) as (_, url, _):

        async def reload_five_times() -> set[str]:
            versions = set()
            async with httpx.AsyncClient(timeout=120) as client:
                for seed in range(1, 6):
                    await asyncio.to_thread(make_system(seed=seed).save, study / "model")
                    answer = await client.post(f"{url}/reload", headers=HEADERS)
                    versions.add(answer.json()["model"])
            return versions

        async def both() -> tuple[set[str], Clients]:
            reloading = asyncio.create_task(reload_five_times())
            clients = Clients(url, 8)
            await clients.ask_until(reloading)  # type: ignore[arg-type]
            return reloading.result(), clients

        versions, clients = asyncio.run(both())
    assert len(versions) == 5
    assert clients.answered > 100
    assert (clients.broken, clients.refused, clients.connections) == (0, [], 8)


@pytest.mark.slow
def test_a_killed_process_takes_only_what_it_was_asked(study: Path, token: Path) -> None:
    with serving(study, "--workers", 2, "--token-file", token) as (process, url, _):
        place = urlsplit(url)

        async def kill_one() -> None:
            await asyncio.sleep(0.5)
            before = workers_of(process.pid)
            os.kill(max(before, key=_connections), signal.SIGKILL)
            with contextlib.ExitStack() as others:  # until one of them comes to the new process
                while not sum(map(_connections, workers_of(process.pid) - before)):
                    other = socket.create_connection((place.hostname, place.port))
                    others.enter_context(other)
                    await asyncio.sleep(0.1)

        async def both() -> Clients:
            clients = Clients(url, 8)
            killing = asyncio.create_task(asyncio.wait_for(kill_one(), 60))
            await clients.ask_until(killing)
            killing.result()
            return clients

        clients = asyncio.run(both())
    assert clients.refused == []
    assert 1 <= clients.broken <= 8  # each connection has one request under way
    assert clients.connections == 8 + clients.broken
    assert clients.answered > 100


def _connections(pid: int) -> int:
    """How many clients a process talks to."""
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid).net_connections()
        return sum(each.status == psutil.CONN_ESTABLISHED for each in found)
    return 0


@pytest.mark.slow
def test_requests_that_are_no_requests_are_refused_and_the_server_lives(
    study: Path, token: Path
) -> None:
    host = b"Host: x\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
    post = b"POST /recommend HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n"
    odd = {
        "no HTTP": b"\x16\x03\x01\x02\x00 hello\r\n\r\n",
        "a length that is no number": post + b"Content-Length: x\r\n\r\n",
        "a length below 0": post + b"Content-Length: -5\r\n\r\n",
        "a length beyond all": post + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        "a length and chunks": post
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "two lengths": post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "50 MB": post + b"Content-Length: 50000000\r\n\r\n" + b"x" * 50_000_000,
        "2 MB in chunks": post
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"10000\r\n%s\r\n" % (b"x" * 65536) * 32
        + b"0\r\n\r\n",
        "a head without end": b"GET /" + b"x" * 1_000_000,
        "a field without end": b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000,
        "a byte that is no text": b"GET /recommend/%FF%00 HTTP/1.1\r\n" + host + b"\r\n",
        "no path": b"GET  HTTP/1.1\r\n" + host + b"\r\n",
    }
    with serving(study, "--token-file", token) as (_, url, _):
        place = urlsplit(url)
        for name, sent in odd.items():
            with socket.create_connection((place.hostname, place.port), timeout=30) as client:
                with contextlib.suppress(OSError):  # it was refused while it was being sent
                    client.sendall(sent)
                answer = b""
                with contextlib.suppress(OSError):
                    answer = client.recv(4096)
            assert re.match(rb"HTTP/1\.1 4\d\d ", answer), (name, answer)
            assert httpx.get(f"{url}/recommend/1", headers=HEADERS).status_code == 200, name


def workers_of(parent: int) -> set[int]:
    """Ids of the processes that answer."""
    found = set()
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            if any("spawn_main" in word for word in child.cmdline()):
                found.add(child.pid)
    return found


def eventually(url: str, reached: Callable[[set[str]], bool]) -> None:
    """Wait until the models of several connections, so of all processes, are as they should be."""
    deadline = time.monotonic() + 60
    while True:
        versions = {httpx.get(f"{url}/ready").json()["model"] for _ in range(12)}
        if reached(versions):
            return
        assert time.monotonic() < deadline, versions
        time.sleep(0.1)
