"""`hbpr serve`: answer recommendations over HTTP from a folder or an MLflow model."""

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hbpr.errors import ConfigError

if TYPE_CHECKING:
    from hbpr.inference.system import RecommendationSystem

_EPILOG = """\b
Examples:
  hbpr serve studies/ml-100k/20261121-101500-ab12
  hbpr serve models:/ml-100k@champion --tracking-uri http://mlflow.example.org:5000
  hbpr serve runs:/RUN_ID/recommender --port 8080
\b
  curl 'http://127.0.0.1:8000/recommend/42?k=5'
  curl 'http://127.0.0.1:8000/similar/7'
  curl -H 'Content-Type: application/json' -d '{"users": [42, 43], "k": 5}' \\
       http://127.0.0.1:8000/recommend
The description of all answers is at http://127.0.0.1:8000/docs.
"""


@click.command(epilog=_EPILOG)
@click.argument("model", metavar="FOLDER_OR_URI")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 opens it to the network, without any password.",
)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--tracking-uri",
    metavar="URI",
    help="MLflow of a model URI.  [default: MLFLOW_TRACKING_URI, else ./mlflow.db]",
)
def serve(model: str, host: str, port: int, tracking_uri: str | None) -> None:
    """Answer recommendations over HTTP.

    FOLDER_OR_URI is the folder of a study, a folder that RecommendationSystem.save wrote, or a
    model in MLflow: models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID, runs:/RUN/recommender.
    """
    import uvicorn

    with _listen(host, port) as listener:
        from cluster.serving.app import create_app

        app = create_app(load(model, tracking_uri))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        click.echo(f"serving {model} at {_url(listener)} (stop with Ctrl-C)", err=True)
        server.run(sockets=[listener])


def load(model: str, tracking_uri: str | None = None) -> "RecommendationSystem":
    """Read a system from the folder of a study, a folder that it was saved to, or MLflow.

    Raises:
        ConfigError: There is no such folder, or it holds no system.
        TrackingError: MLflow has no such model.
    """
    if re.match(r"[a-z][a-z0-9+-]+:/", model):
        from hbpr.tracking.registry import load_system

        return load_system(model, tracking_uri)
    folder = Path(model)
    if not folder.is_dir():
        raise ConfigError(
            f"hbpr serve: there is no folder {model!r}. Give the folder of a study, or a model in "
            "MLflow such as models:/NAME@ALIAS"
        )
    if (folder / "model").is_dir():
        folder = folder / "model"
    elif (folder / "journal.log").exists():
        raise ConfigError(
            f"hbpr serve {model}: this study has no model yet. Finish it with hbpr tune --resume"
        )
    from hbpr.inference.system import RecommendationSystem

    return RecommendationSystem.load(folder)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before the model is read: a taken one is an error at once."""
    listener = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        # asyncio turns Nagle's delay (40 ms an answer) off only where the protocol is named.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(2048)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ConfigError(
            f"hbpr serve: cannot listen on {host} port {port}: {error.strerror or error}. "
            "Choose another with --port, or 0 for a free one"
        ) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
