"""`hbpr serve`: answer recommendations over HTTP from a folder, a study or an MLflow model."""

import ipaddress
from pathlib import Path
from typing import get_args

import click

from cluster.serving.plan import AccessLog, ServerPlan, WorkerPlan
from hbpr.cli.options import model_options
from hbpr.errors import ConfigError

_EPILOG = """\b
Examples:
  hbpr serve studies/ml-100k/20261121-101500-ab12
  hbpr serve models:/ml-100k@champion --workers 2 --token-file token --poll 60
  hbpr serve models:/ml-100k@champion --host 0.0.0.0 --token-file token \\
       --tls-cert cert.pem --tls-key key.pem
\b
  curl 'http://127.0.0.1:8000/recommend/42?k=5'
  curl 'http://127.0.0.1:8000/similar/7'
  curl -H 'Content-Type: application/json' \\
       -d '{"users": [42, {"history": [1, 2]}], "k": 5}' http://127.0.0.1:8000/recommend
\b
A page to try it is at /, the description of all answers at /docs. SIGHUP looks the model up again.
"""
#: Shortest token: one that cannot be guessed.
_LEAST_TOKEN = 16


@click.command(epilog=_EPILOG)
@click.argument("model", metavar="MODEL")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen on; see --insecure."
)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Processes that answer; each holds the model.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File with the token that clients send as Authorization: Bearer TOKEN.",
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate chain, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key, PEM.")
@click.option(
    "--insecure",
    is_flag=True,
    help="Listen beyond this machine without a token or without TLS, as behind a proxy.",
)
@click.option(
    "--poll",
    "poll_s",
    default=0.0,
    metavar="SECONDS",
    type=click.FloatRange(0),
    help="Look so often whether MODEL means another model, and go over to it; 0: never.",
)
@click.option(
    "--max-body",
    default=1024,
    show_default=True,
    metavar="KIB",
    type=click.IntRange(1, 2**20),
    help="Largest body of a request.",
)
@click.option(
    "--access-log",
    default="off",
    show_default=True,
    type=click.Choice(get_args(AccessLog)),
    help="Log requests: without ids (routes) or with them (paths).",
)
@model_options
@click.option("--ray", "on_ray", is_flag=True, help="Run in Ray Serve, on a cluster or on its own.")
@click.option("--address", metavar="HOST:PORT", help="Ray cluster to join.  [default: none]")
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Replicas in Ray Serve; each holds the model.",
)
def serve(  # noqa: PLR0913 - an option each
    model: str,
    host: str,
    port: int,
    workers: int,
    token_file: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    insecure: bool,
    poll_s: float,
    max_body: int,
    access_log: AccessLog,
    allow: tuple[str, ...],
    tracking_uri: str | None,
    on_ray: bool,
    address: str | None,
    replicas: int,
) -> int:
    """Answer recommendations over HTTP.

    MODEL is the folder of a study, a folder that RecommendationSystem.save wrote, the id of a run,
    or a model in MLflow: models:/NAME@ALIAS, models:/NAME/VERSION, runs:/RUN/recommender.
    """
    token = None if token_file is None else read_token(token_file)
    check_exposure(
        host, has_token=token is not None, has_tls=_has_tls(tls_cert, tls_key), insecure=insecure
    )
    if (address or replicas > 1) and not on_ray:
        raise ConfigError("hbpr serve: --address and --replicas are of Ray Serve; add --ray")

    from cluster.serving.supervisor import Supervisor, listen, url_of

    plan = ServerPlan(
        model,
        WorkerPlan(Path(), allow, token, max_body * 1024, access_log, tls_cert, tls_key),
        tracking_uri,
        workers,
        poll_s,
    )
    if on_ray:
        from cluster.serving.on_ray import serve_on_ray

        return serve_on_ray(
            plan, (host, port), address, replicas, lambda text: click.echo(text, err=True)
        )
    listeners = listen(host, port, workers)
    url = url_of(listeners[0], tls=tls_cert is not None)

    def say() -> None:
        click.echo(f"serving {model} at {url} (stop with Ctrl-C)", err=True)

    return Supervisor(plan, listeners, say).run()


def read_token(path: Path) -> str:
    """Read the token from a file.

    Raises:
        ConfigError: There is none, or others could guess it.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"--token-file {path}: cannot be read: {error}") from error
    if len(token) < _LEAST_TOKEN or any(not 32 < ord(each) < 127 for each in token):
        raise ConfigError(
            f"--token-file {path}: a token has at least {_LEAST_TOKEN} characters without spaces, "
            f"got {len(token)}. Make one with: python -c 'import secrets; "
            "print(secrets.token_urlsafe(32))'"
        )
    return token


def check_exposure(host: str, *, has_token: bool, has_tls: bool, insecure: bool) -> None:
    """Refuse to listen beyond this machine without a token and TLS.

    Raises:
        ConfigError: That is asked for without saying so.
    """
    if insecure or _is_loopback(host) or (has_token and has_tls):
        return
    missing = " and ".join(
        [
            *(() if has_token else ("--token-file",)),
            *(() if has_tls else ("--tls-cert, --tls-key",)),
        ]
    )
    raise ConfigError(
        f"hbpr serve: {host} can be reached from other machines, which takes {missing} as well; "
        "or --insecure, as behind a proxy that has them"
    )


def _has_tls(cert: Path | None, key: Path | None) -> bool:
    if (cert is None) != (key is None):
        raise ConfigError("hbpr serve: --tls-cert and --tls-key belong together, got one of them")
    if cert is None or key is None:
        return False
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"--tls-cert {cert}, --tls-key {key}: cannot be used: {error}") from error
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
