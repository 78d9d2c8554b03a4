"""Whether a node reaches the storage, told by what it reads and what it writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.connect.shared import appears, marker_in, next_step, read_and_write
from hbpr.errors import ClusterError

from ...support.store import Store, running_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store")) as found:
        yield found


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_node_that_reads_and_writes(kind: str, tmp_path: Path, store: Store) -> None:
    place = str(tmp_path / "new") if kind == "folder" else "s3://shop/studies"
    with marker_in(place) as marker:
        own = marker.beside("node1")
        assert not appears(own)
        assert read_and_write(marker.path, marker.content, own) == ""
        assert appears(own)
        assert read_and_write(marker.path, "other", own) == f"reads another {marker.path}"
    assert not appears(own)
    assert store.objects("studies/.pre") == []
    assert kind == "s3" or list((tmp_path / "new").iterdir()) == []


def test_nothing_to_share() -> None:
    with marker_in(None) as marker:
        own = marker.beside("node1")
        assert read_and_write(marker.path, marker.content, own) == ""
        assert appears(own)


def test_a_node_with_another_store_or_without_credentials(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with marker_in("s3://shop/studies") as marker:
        with monkeypatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            problem = read_and_write(marker.path, marker.content, marker.beside("node1"))
        assert problem.startswith("s3://shop/studies/.preflight-")
        assert "the object store does not answer" in problem
        assert "Every node needs the credentials of the store" in next_step(problem)
    assert "such as an NFS mount" in next_step("No such file or directory: /shared/x")


def test_a_driver_that_cannot_write(tmp_path: Path, store: Store) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "studies", "s3://nobody/studies"):
        with (
            pytest.raises(ClusterError, match="this process cannot write there") as error,
            marker_in(place),
        ):
            pass
        assert str(place) in str(error.value)
