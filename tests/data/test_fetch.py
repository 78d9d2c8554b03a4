import logging
import socket

import pytest

from hbpr.data.fetch import FetchError, fetch, read_text

BODY = bytes(range(256)) * 4000


@pytest.fixture
def target(tmp_path):
    return tmp_path / "file.zip"


def get(site, target, **options):
    fetch(f"{site.url}/file.zip", target, pause_s=0.0, timeout_s=5.0, **options)


def test_a_file_arrives_whole_and_alone(site, target, caplog):
    site.files["/file.zip"] = BODY
    with caplog.at_level(logging.INFO, logger="hbpr"):
        get(site, target)
    assert target.read_bytes() == BODY
    assert [p.name for p in target.parent.iterdir()] == ["file.zip"]
    assert "fetching file.zip (1.0 MB)" in caplog.text


def test_a_broken_transfer_goes_on_where_it_stopped(site, target):
    site.files["/file.zip"] = BODY
    site.cut_after = [300_000, 200_000]
    get(site, target)
    assert target.read_bytes() == BODY
    ranges = [wanted for _, wanted in site.requests]
    assert ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_a_part_of_an_earlier_call_is_used(site, target):
    site.files["/file.zip"] = BODY
    target.with_name("file.zip.part").write_bytes(BODY[:1000])
    get(site, target)
    assert target.read_bytes() == BODY
    assert site.requests == [("/file.zip", "bytes=1000-")]


def test_a_server_that_ignores_the_range_sends_everything_again(site, target):
    site.files["/file.zip"] = BODY
    site.ranges = False
    target.with_name("file.zip.part").write_bytes(b"x" * 2000)
    get(site, target)
    assert target.read_bytes() == BODY


def test_a_longer_part_than_the_file_is_thrown_away(site, target):
    site.files["/file.zip"] = BODY
    target.with_name("file.zip.part").write_bytes(BODY + b"more")
    get(site, target)
    assert target.read_bytes() == BODY
    assert [wanted for _, wanted in site.requests] == [f"bytes={len(BODY) + 4}-", None]


def test_a_server_without_a_length(site, target):
    site.files["/file.zip"] = BODY
    site.chunked = True
    get(site, target)
    assert target.read_bytes() == BODY


def test_tries_are_bounded_and_the_part_stays_for_the_next_call(site, target):
    site.files["/file.zip"] = BODY
    site.cut_after = [10, 10, 10]
    with pytest.raises(FetchError, match=r"broke off after 30 of 1024000 bytes \(3 tries\)"):
        get(site, target, tries=3)
    assert not target.exists()
    assert target.with_name("file.zip.part").read_bytes() == BODY[:30]


def test_an_overloaded_server_is_asked_again(site, target):
    site.files["/file.zip"] = BODY
    site.statuses = [503, 429]
    get(site, target)
    assert target.read_bytes() == BODY


def test_a_file_that_is_not_there_is_asked_for_once(site, target):
    with pytest.raises(FetchError, match=r"file\.zip: the server answers 404"):
        get(site, target)
    assert len(site.requests) == 1


def test_an_existing_file_stays_until_the_new_one_is_complete(site, target):
    target.write_bytes(b"old")
    site.statuses = [500] * 2
    with pytest.raises(FetchError, match="500"):
        get(site, target, tries=2)
    assert target.read_bytes() == b"old"


def test_nobody_listens(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.zip"
        with pytest.raises(FetchError, match=r"refused \(2 tries\)"):
            fetch(url, tmp_path / "file.zip", tries=2, pause_s=0.0)
        with pytest.raises(FetchError, match="refused"):
            read_text(url)


def test_a_name_that_does_not_resolve_is_not_tried_again(tmp_path, monkeypatch):
    calls = []

    def fail(*_: object, **__: object):
        calls.append(1)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(FetchError, match=r"no network .*Name or service not known"):
        fetch("http://files.invalid/file.zip", tmp_path / "file.zip")
    assert len(calls) == 1


def test_a_server_that_falls_silent_is_given_up(target):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.zip"
        with pytest.raises(FetchError, match=r"timed out \(1 tries\)"):
            fetch(url, target, tries=1, timeout_s=0.1)


def test_short_texts(site):
    site.files["/file.zip.md5"] = b"MD5 (file.zip) = abc\n"
    assert read_text(f"{site.url}/file.zip.md5") == "MD5 (file.zip) = abc\n"
    with pytest.raises(FetchError, match="404"):
        read_text(f"{site.url}/none")
