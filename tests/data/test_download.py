import hashlib
import io
import logging
import zipfile
from pathlib import Path

import pytest

from hbpr.data import download, fetch
from hbpr.data.download import data_home, find_or_fetch, unpack
from hbpr.errors import DataError, DatasetMissingError

FILES = {"a.csv": b"a,b\n1,2\n", "b.csv": b"x" * 100_000}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ZIP = zipped({"wrapped/": b"", **{f"wrapped/{k}": v for k, v in FILES.items()}})
MD5 = hashlib.md5(ZIP).hexdigest()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "not made yet" / "data"


def get(site, home: Path, md5: str | None = MD5) -> Path:
    return find_or_fetch(
        "ds",
        home,
        folders=("ds", "wrapped"),
        files=("a.csv", "b.csv"),
        url=f"{site.url}/ds.zip",
        md5=md5,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_fetched_checked_unpacked_and_nothing_else_left(site, home):
    site.files["/ds.zip"] = ZIP
    assert get(site, home) == home / "ds"
    assert content(home / "ds") == FILES
    assert [p.name for p in home.iterdir()] == ["ds"]
    get(site, home)
    assert len(site.requests) == 1


@pytest.mark.parametrize("folder", ["ds", "wrapped"])
def test_an_unpacked_copy_is_read_without_network_or_checksum(site, home, folder):
    (home / folder).mkdir(parents=True)
    for name in FILES:
        (home / folder / name).write_bytes(b"mine")
    assert get(site, home) == home / folder
    assert site.requests == []


def test_a_zip_that_lies_there_is_unpacked_without_network(site, home):
    home.mkdir(parents=True)
    (home / "ds.zip").write_bytes(ZIP)
    assert content(get(site, home)) == FILES
    assert site.requests == []


def test_a_partial_file_is_gone_on_with(site, home):
    site.files["/ds.zip"] = ZIP
    home.mkdir(parents=True)
    (home / "ds.zip.part").write_bytes(ZIP[:5000])
    assert content(get(site, home)) == FILES
    assert site.requests == [("/ds.zip", "bytes=5000-")]


def test_a_partial_file_of_something_else_is_replaced(site, home, caplog):
    site.files["/ds.zip"] = ZIP
    home.mkdir(parents=True)
    (home / "ds.zip.part").write_bytes(b"?" * 5000)
    assert content(get(site, home)) == FILES
    assert [wanted for _, wanted in site.requests] == ["bytes=5000-", None]
    assert "fetched again" in caplog.text


def test_a_broken_zip_that_lies_there_is_replaced(site, home):
    site.files["/ds.zip"] = ZIP
    home.mkdir(parents=True)
    (home / "ds.zip").write_bytes(ZIP[:-1])
    assert content(get(site, home)) == FILES


def test_a_wrong_checksum_is_fetched_again_and_then_refused(site, home):
    site.files["/ds.zip"] = ZIP
    with pytest.raises(DatasetMissingError, match=f"MD5 is {MD5}, published is {'0' * 32}"):
        get(site, home, "0" * 32)
    assert len(site.requests) == 2
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [f"MD5 (ds.zip) = {MD5}\n", f"{MD5}  ds.zip\n", MD5.upper()],
    ids=["BSD", "coreutils", "alone"],
)
def test_the_publisher_is_asked_for_a_checksum_that_may_change(site, home, text):
    site.files |= {"/ds.zip": ZIP, "/ds.zip.md5": text.encode()}
    assert content(get(site, home, None)) == FILES


def test_a_page_instead_of_a_checksum_is_refused(site, home):
    site.files |= {"/ds.zip": ZIP, "/ds.zip.md5": b"<html>sign in</html>"}
    with pytest.raises(DatasetMissingError, match="holds no MD5 checksum, got '<html>"):
        get(site, home, None)


def test_a_changing_release_put_there_by_hand_needs_no_network(site, home, caplog):
    home.mkdir(parents=True)
    (home / "ds.zip").write_bytes(ZIP)
    with caplog.at_level(logging.INFO, logger="hbpr"):
        assert content(get(site, home, None)) == FILES
    assert site.requests == []
    assert "taken as it is" in caplog.text


def test_what_was_not_found_is_said_in_one_message(site, home):
    with pytest.raises(DatasetMissingError) as raised:
        get(site, home)
    said = str(raised.value)
    for part in (
        "ds: not found in",
        f"{site.url}/ds.zip: the server answers 404",
        f"put it at {home / 'ds.zip'}",
        f"{home / 'ds'} holds a.csv, b.csv",
        "HBPR_DATA_HOME",
    ):
        assert part in said
    assert isinstance(raised.value, FileNotFoundError)


def test_a_folder_is_made_only_for_what_arrives(site, home, monkeypatch, caplog):
    monkeypatch.setenv("HBPR_DATA_HOME", str(home))
    with pytest.raises(DatasetMissingError, match=r"\(there is no folder .*data\) and could not"):
        get(site, home)
    assert not home.parent.exists()
    assert f"there is no folder {home} (HBPR_DATA_HOME)" in caplog.text
    caplog.clear()
    home.mkdir(parents=True)
    with pytest.raises(DatasetMissingError, match="ds and could not be fetched"):
        get(site, home)
    assert caplog.text == ""


def test_a_folder_that_cannot_be_written_is_named(site, tmp_path):
    site.files["/ds.zip"] = ZIP
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetMissingError, match="Not a directory"):
        get(site, tmp_path / "file" / "data")


def test_an_incomplete_copy_is_completed_and_other_files_stay(site, home):
    site.files["/ds.zip"] = ZIP
    (home / "ds").mkdir(parents=True)
    (home / "ds" / "a.csv").write_bytes(FILES["a.csv"])
    (home / "ds" / "notes.txt").write_bytes(b"mine")
    assert content(get(site, home)) == FILES | {"notes.txt": b"mine"}


def test_a_zip_without_the_dataset_is_refused(site, home):
    other = zipped({"wrapped/a.csv": b""})
    site.files["/ds.zip"] = other
    with pytest.raises(DataError, match=r"does not hold b\.csv"):
        get(site, home, hashlib.md5(other).hexdigest())


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "C:\\evil"])
def test_no_entry_leaves_the_folder(tmp_path, name):
    archive = tmp_path / "ds.zip"
    with zipfile.ZipFile(archive, "w") as contents:
        contents.writestr(zipfile.ZipInfo(name), b"bad")
    with pytest.raises(DataError, match="unsafe path"):
        unpack(archive, tmp_path / "inner" / "ds")
    assert [p for p in tmp_path.rglob("*evil*") if p.is_file()] == []


def test_a_broken_zip_is_named(tmp_path):
    (tmp_path / "ds.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"ds\.zip: not a complete zip"):
        unpack(tmp_path / "ds.zip", tmp_path / "ds")
    damaged = bytearray(ZIP)
    damaged[ZIP.index(b"xxxxxxxx") + 50_000] ^= 1
    (tmp_path / "ds.zip").write_bytes(damaged)
    with pytest.raises(DataError, match="Bad CRC"):
        unpack(tmp_path / "ds.zip", tmp_path / "ds")
    assert [p.name for p in (tmp_path / "ds").iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"HBPR_DATA_HOME": "/here"}, "/here"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/hbpr/data"),
        ("linux", {}, "HOME/.cache/hbpr/data"),
        ("linux", {"HBPR_DATA_HOME": "~/sets"}, "HOME/sets"),
        ("darwin", {}, "HOME/Library/Caches/hbpr/data"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/hbpr/data"),
        ("win32", {}, "HOME/AppData/Local/hbpr/data"),
    ],
)
def test_where_datasets_lie(monkeypatch, tmp_path, platform, variables, expected):
    for name in ("HBPR_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(download.sys, "platform", platform)
    assert data_home() == Path(expected.replace("HOME", str(tmp_path)))
