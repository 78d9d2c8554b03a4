"""Lists of many users into a file: the same as one by one, in parts, and whole or not there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hbpr.data import UserItemData
from hbpr.errors import ConfigError, DataError, DatasetMissingError, HbprError
from hbpr.inference.batch import job
from hbpr.inference.batch.id_files import read_ids
from hbpr.inference.batch.job import PartMaker, assemble, prepare, run, want
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.settings.models import MfSettings, TrialSettings

READ = {
    ".csv": lambda path: pd.read_csv(path, dtype={"user": str}),
    ".jsonl": lambda path: pd.read_json(path, lines=True, dtype={"user": str}),
    ".parquet": pd.read_parquet,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((50, 20)) < 0.4)
    data = UserItemData("toy")
    data.add_positive_interactions([f"u{u}" for u in users], items)
    data.add_item_names(range(20), [f'Thing "{i}", Jörg\'s' for i in range(20)])
    interactions = data.to_interactions()
    settings = TrialSettings(model=MfSettings(n_latent=4, init_std=1.0))
    made = build_model(settings.model, interactions, seed=0)
    folder = tmp_path_factory.mktemp("model") / "model"
    RecommendationSystem(made, interactions, settings).save(folder)
    return LoadedModel.read(folder)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_LEAST_USERS", 8)
    monkeypatch.setattr(job, "_PART_ROWS", 1)


def silent(done: int, n: int) -> None:
    assert 0 <= done <= n


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_the_file_holds_what_the_model_recommends(
    model: LoadedModel, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"recs{suffix}"
    wanted = want(model, None, str(out), ListOptions(k=3))
    assert wanted.n_parts == 7
    run(model, wanted, silent)
    found = READ[suffix](out)
    expected = model.recommend(k=3)
    assert list(found.columns) == ["user", "item", "rank", "score", "item_name"]
    for name in ("user", "item", "rank", "item_name"):
        assert found[name].tolist() == expected[name].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_progress_counts_users(model: LoadedModel, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    wanted = want(model, None, str(tmp_path / "recs.csv"), ListOptions(k=3))
    run(model, wanted, lambda done, n: told.append((done, n)))
    assert told == [(done, 50) for done in (0, 8, 16, 24, 32, 40, 48, 50)]


def test_unknown_users_are_listed_and_do_no_harm(model: LoadedModel, tmp_path: Path) -> None:
    out = str(tmp_path / "recs.parquet")
    wanted = want(model, ["u3", "nobody", "u1", 7], out, ListOptions(k=2))
    run(model, wanted, silent)
    assert pd.read_parquet(out)["user"].tolist() == ["u3", "u3", "u1", "u1"]
    assert (tmp_path / "recs.unknown.txt").read_text() == "nobody\n7\n"
    for users in (["nobody"], []):
        with pytest.raises(DataError, match="there is no user to recommend to"):
            want(model, users, out, ListOptions())


def test_what_was_done_is_not_done_again(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "recs.parquet"
    wanted = want(model, None, str(out), ListOptions(k=3))

    make = PartMaker.make

    def fails(self: PartMaker, number: int) -> int:
        if number == 3:
            raise OSError(28, "No space left on device")
        return make(self, number)

    monkeypatch.setattr(PartMaker, "make", fails)
    with pytest.raises(OSError, match="No space left"):
        run(model, wanted, silent)
    assert not out.exists()

    made: list[int] = []

    def counts(self: PartMaker, number: int) -> int:
        made.append(number)
        return make(self, number)

    monkeypatch.setattr(PartMaker, "make", counts)
    run(model, wanted, silent)
    assert made == [3, 4, 5, 6]
    assert pd.read_parquet(out)["item"].tolist() == model.recommend(k=3)["item"].tolist()


def test_parts_of_other_lists_are_not_gone_on_with(model: LoadedModel, tmp_path: Path) -> None:
    out = str(tmp_path / "recs.parquet")
    first = want(model, None, out, ListOptions(k=3))
    prepare(first)
    PartMaker(model, first).make(0)
    assert prepare(first) == [1, 2, 3, 4, 5, 6]
    for other in (
        want(model, None, out, ListOptions(k=2)),
        want(model, ["u1"], out, ListOptions(k=3)),
        want(model, None, out, ListOptions(k=3, deny_items=[1])),
    ):
        assert prepare(other) == list(range(other.n_parts))


def test_a_part_that_is_missing_is_no_whole_file(model: LoadedModel, tmp_path: Path) -> None:
    wanted = want(model, None, str(tmp_path / "recs.csv"), ListOptions(k=3))
    prepare(wanted)
    PartMaker(model, wanted).make(0)
    with pytest.raises(HbprError, match="part 1 of 7 is not there"):
        assemble(wanted)
    assert not (tmp_path / "recs.csv").exists()


def test_an_old_file_stays_until_the_new_one_is_whole(model: LoadedModel, tmp_path: Path) -> None:
    out = tmp_path / "recs.csv"
    out.write_text("old")
    wanted = want(model, None, str(out), ListOptions(k=3))
    prepare(wanted)
    PartMaker(model, wanted).make(0)
    assert out.read_text() == "old"
    run(model, wanted, silent)
    assert out.read_text().startswith('"user","item"')


def test_other_formats_and_places_are_refused(model: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end with one of \.parquet, \.csv, \.jsonl"):
        want(model, None, str(tmp_path / "recs.xlsx"), ListOptions())
    with pytest.raises(ConfigError, match="cannot be used"):
        want(model, None, "gopher://host/recs.csv", ListOptions())
    with pytest.raises(DataError, match="allow_items: unknown item"):
        want(model, None, str(tmp_path / "recs.csv"), ListOptions(allow_items=["x"]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.txt", "a\n7\nb c\n"),
        ("ids.csv", "\ufeffuser,age\na,1\n7,2\nb c,3\n"),
        ("ids.csv", "anything\na\n7\nb c\n"),
        ("ids.jsonl", '{"user": "a"}\n{"user": 7}\n{"user": "b c"}\n'),
        ("ids.jsonl", '"a"\n7\n"b c"\n'),
    ],
)
def test_ids_are_read_from_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert [str(each) for each in read_ids(str(tmp_path / name), "user")] == ["a", "7", "b c"]


def test_ids_are_read_from_parquet_and_mistakes_are_told(tmp_path: Path) -> None:
    table = pd.DataFrame({"age": [1, 2], "user": [7, 8]})
    table.to_parquet(tmp_path / "ids.parquet")
    assert read_ids(str(tmp_path / "ids.parquet"), "user") == [7, 8]
    with pytest.raises(DataError, match=r"a column 'item' is needed, got 'age', 'user'"):
        read_ids(str(tmp_path / "ids.parquet"), "item")
    with pytest.raises(DatasetMissingError, match="there is no such file of user ids"):
        read_ids(str(tmp_path / "none.csv"), "user")
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(DataError, match=r"bad\.jsonl: user ids cannot be read"):
        read_ids(str(tmp_path / "bad.jsonl"), "user")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An object store on loopback."""
    moto = pytest.importorskip("moto.server", reason="moto comes with the dev extra")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    from pyarrow import fs

    store = fs.S3FileSystem(
        endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True
    )
    store.create_dir("shop")
    yield f"shop|{host}:{port}"
    server.stop()


def test_a_store_holds_the_same_file(model: LoadedModel, tmp_path: Path, bucket: str) -> None:
    name, endpoint = bucket.split("|")
    there = f"s3://{name}/lists/recs.parquet?endpoint_override={endpoint}&scheme=http"
    wanted = want(model, ["u1", "nobody", *(f"u{i}" for i in range(20))], there, ListOptions(k=3))
    prepare(wanted)
    PartMaker(model, wanted).make(1)
    assert prepare(wanted) == [0, 2]
    assert not wanted.out.exists()
    run(model, wanted, silent)
    assert wanted.out.told == f"s3://{name}/lists/recs.parquet"
    names = (wanted.out.beside("/..")).fs.get_file_info(
        __import__("pyarrow.fs").fs.FileSelector(f"{name}/lists", recursive=True)
    )
    assert sorted(info.base_name for info in names) == ["recs.parquet", "recs.unknown.txt"]
    (tmp_path / "recs.parquet").write_bytes(wanted.out.read())
    found = pd.read_parquet(tmp_path / "recs.parquet")
    expected = model.recommend(["u1", *(f"u{i}" for i in range(20))], k=3)
    assert found["item"].tolist() == expected["item"].tolist()


def test_the_plan_is_plain_json(model: LoadedModel, tmp_path: Path) -> None:
    wanted = want(model, ["u1"], str(tmp_path / "recs.csv"), ListOptions(k=3))
    prepare(wanted)
    plan = json.loads((tmp_path / "recs.csv.partial" / "plan.json").read_text())
    assert plan == wanted.plan()
    assert (plan["n_users"], plan["options"]["k"], plan["model"]) == (1, 3, model.version)
    assert os.listdir(tmp_path) == ["recs.csv.partial"]
