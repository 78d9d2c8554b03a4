"""A store for the tests of what is kept in one."""

from collections.abc import Iterator

import pytest

from ..support.store import BUCKET, Store, running_store


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def store(_server: Store) -> Iterator[Store]:
    """An S3 server with an empty bucket."""
    yield _server
    for key in list(_server.keys()):  # of a bucket
        _server.client.delete_object(Bucket=BUCKET, Key=key)
