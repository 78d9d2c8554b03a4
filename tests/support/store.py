"""An S3 server of the test's own, on loopback, with one bucket."""

import logging
import os
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECRET = "wJalrXUtnFEMI-not-a-real-one"
BUCKET = "shop"


@dataclass(frozen=True)
class Store:
    """The server, what a process needs to use it, and a client."""

    env: Mapping[str, str]
    client: Any

    def objects(self, prefix: str = "") -> list[str]:
        """All objects below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        """An object."""
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def everything(self) -> bytes:
        """All objects, one behind the other."""
        return b"\n".join(self.read(key) for key in self.objects())


@contextmanager
def running_store(folder: Path) -> Iterator[Store]:
    """Run the server while the body runs."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_ACCESS_KEY_ID": "AKIAreaderofatest",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    before = {name: os.environ.get(name) for name in (*env, "AWS_PROFILE", "AWS_SESSION_TOKEN")}
    for name in before:
        os.environ.pop(name, None)
    os.environ.update(env)
    try:
        reset = f"{env['AWS_ENDPOINT_URL']}/moto-api/reset"  # all servers of a process share it
        urllib.request.urlopen(urllib.request.Request(reset, method="POST")).close()
        client = boto3.client("s3", endpoint_url=env["AWS_ENDPOINT_URL"], region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield Store(env, client)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        server.stop()
