"""An S3 server on a host of its own: it outlives the head and every worker."""

import sys
import time
from typing import Final

from .hosts import Host, Hosts

BUCKET: Final = "shop"
_PORT: Final = 9000

#: A client on the server's host: the test is in none of the hosts' networks.
_CLIENT = f"""
import boto3, sys
client = boto3.client("s3")
match sys.argv[1:]:
    case ["make"]:
        client.create_bucket(Bucket="{BUCKET}")
    case ["names", prefix]:
        pages = client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket="{BUCKET}", Prefix=prefix):
            for each in page.get("Contents", []):
                print(each["Key"])
    case ["read", key]:
        print(client.get_object(Bucket="{BUCKET}", Key=key)["Body"].read().decode())
"""


class HostStore:
    """The server, with one bucket; nodes and clients that start later know it.

    Args:
        net: The network.
        n: Number of its host.
    """

    def __init__(self, net: Hosts, n: int) -> None:
        self._net = net
        self._host: Host = net.add(n, shares=False)
        net.env |= {
            "AWS_ENDPOINT_URL": f"http://{self._host.address}:{_PORT}",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nowhere",
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            "AWS_ACCESS_KEY_ID": "AKIAreaderofatest",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-not-a-real-one",
        }
        serve = [sys.executable, "-m", "moto.server", f"-H{self._host.address}", f"-p{_PORT}"]
        quiet = ["sh", "-c", f'exec "$@" >{self._host.log} 2>&1', "serve", *serve]
        self._server = net.popen(self._host, *quiet)
        until = time.monotonic() + 60
        while "Running on" not in self._told():
            assert self._server.poll() is None, self._told()
            assert time.monotonic() < until, self._told()
            time.sleep(0.2)
        self._ask("make")

    def names(self, prefix: str = "") -> list[str]:
        """Return the keys of all objects below a prefix."""
        return self._ask("names", prefix).split()

    def read(self, key: str) -> str:
        """Return the text of an object."""
        return self._ask("read", key)

    def _told(self) -> str:
        return self._host.log.read_text() if self._host.log.exists() else ""

    def _ask(self, *words: str) -> str:
        done = self._net.run(self._host, sys.executable, "-c", _CLIENT, *words)
        assert done.returncode == 0, done.stdout
        return done.stdout
