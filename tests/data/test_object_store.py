"""Tables on an object store: a server of the test's own, on loopback."""

import io
import logging
import urllib.request

import pyarrow as pa
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from hbpr.cli.data import data as command
from hbpr.data import load_table
from hbpr.errors import DataError, DatasetMissingError
from hbpr.settings.models import FeatureTableSettings, TableSettings

SECRET = "wJalrXUtnFEMI-not-a-real-one"


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(server, monkeypatch, tmp_path):
    """Puts an object into the bucket shop."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    import boto3

    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1")
    client.create_bucket(Bucket="shop")

    def put(key, content):
        if isinstance(content, pa.Table):
            buffer = io.BytesIO()
            parquet.write_table(content, buffer)
            content = buffer.getvalue()
        client.put_object(Bucket="shop", Key=key, Body=content)
        return f"s3://shop/{key}"

    yield put
    for each in client.list_objects_v2(Bucket="shop").get("Contents", []):
        client.delete_object(Bucket="shop", Key=each["Key"])
    client.delete_bucket(Bucket="shop")


TABLE = pa.table({"user": ["ann", "ann", "bob"], "item": [1, 2, 3]})
CSV = b"user,item\nann,1\nann,2\nbob,3\n"


def test_files_folders_and_patterns(store):
    packed = store("clicks.parquet", TABLE)
    text = store("logs/day=1/a.csv", CSV)
    store("logs/day=2/b.csv", b"user,item\ncat,4\n")
    store("logs/_SUCCESS", b"")
    tags = store("tags.csv", b"item,kind\n1,tea\n2,tea\n3,jam\n")
    one = load_table(TableSettings(path=packed)).to_interactions().fingerprint
    assert load_table(TableSettings(path=text)).to_interactions().fingerprint == one
    for path in ("s3://shop/logs", "s3://shop/logs/", "s3://shop/logs/*/*.csv"):
        data = load_table(TableSettings(path=path, event="day", positive_events=[1, 2]))
        assert data.n_positives == 4
    described = load_table(
        TableSettings(path=packed, item_features=FeatureTableSettings(path=tags, id="item")),
        item_feature="metadata",
    )
    names = described.to_interactions().item_feature_names
    assert names == ("kind=jam", "kind=tea")


@pytest.mark.parametrize("path", ["s3://shop/none.csv", "s3://nobody/x.csv"])
def test_what_is_not_there(store, path):
    with pytest.raises(DatasetMissingError, match="no such bucket, folder or file"):
        load_table(TableSettings(path=path))


def test_credentials_that_are_refused(store, server):
    path = store("clicks.csv", CSV)

    def ask_for_credentials(after):
        request = urllib.request.Request(
            f"{server}/moto-api/reset-auth",
            data=str(after).encode(),
            method="POST",
            headers={"Content-Type": "text/plain"},
        )
        urllib.request.urlopen(request).close()

    ask_for_credentials(0)
    try:
        with pytest.raises(DataError, match="the object store refuses access: check AWS_ACC") as e:
            load_table(TableSettings(path=path))
    finally:
        ask_for_credentials(10**9)
    assert SECRET not in str(e.value)


def test_a_store_that_is_away(store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(DataError, match="the object store does not answer"):
        load_table(TableSettings(path="s3://shop/clicks.csv"))


@pytest.mark.parametrize(
    ("path", "said"),
    [("gs://shop/x.csv", "or from s3://BUCKET/KEY, got gs://"), ("s3:///x.csv", "name the bucket")],
)
def test_other_addresses(path, said):
    with pytest.raises(DataError, match=said):
        load_table(TableSettings(path=path))


def test_a_secret_in_an_address_is_refused_and_not_shown(tmp_path, store):
    path = tmp_path / "shop.yaml"
    path.write_text(f"data: {{source: table, table: {{path: 's3://k:{SECRET}@shop/x.csv'}}}}\n")
    done = CliRunner().invoke(command, ["describe", str(path)])
    assert "must not hold a key or password" in str(done.exception)
    assert SECRET not in str(done.exception)
