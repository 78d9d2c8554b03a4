"""One process that answers: it takes its model from what the parent published."""

import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Final

from cluster.serving.plan import WorkerPlan

#: Seconds that requests under way get when the server ends.
_GRACE_S: Final = 10


def run_worker(plan: WorkerPlan, listener: socket.socket, ready: Path) -> None:
    """Answer on a socket until the process is told to end; the body of a process.

    Args:
        plan: As given to every process.
        listener: A listening socket of its own.
        ready: A file to make once it answers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it; uvicorn takes its own
    parent = os.getppid()
    import uvicorn

    from cluster.serving.app import create_app
    from cluster.serving.head import LimitedHead
    from cluster.serving.holder import Holder
    from cluster.serving.published import PublishedFile

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    if plan.access_log != "off":
        logging.getLogger("hbpr.access").setLevel(logging.INFO)
    published = PublishedFile(plan.shared)
    while not published.is_there():  # the parent looks it up
        if os.getppid() != parent:
            return
        time.sleep(0.01)
    holder = Holder(published, allow=plan.allow)
    holder.load()
    app = create_app(holder, token=plan.token, max_body=plan.max_body, access_log=plan.access_log)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=LimitedHead,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=plan.tls_cert,
            ssl_keyfile=plan.tls_key,
        )
    )
    threading.Thread(target=_follow, args=(server, ready, parent), daemon=True).start()
    server.run(sockets=[listener])


def _follow(server: "uvicorn.Server", ready: Path, parent: int) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Say once that the server answers; end it if the parent is gone."""
    while not server.started:
        time.sleep(0.01)
    ready.touch()
    while os.getppid() == parent:
        time.sleep(0.5)
    server.should_exit = True
