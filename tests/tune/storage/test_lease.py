"""One driver at a time: on a store that keeps conditions, and on one that has none."""

import json
import threading
import time
from collections.abc import Iterator

import pytest

from hbpr.errors import HbprError, StudyError
from hbpr.places import Place
from tune.storage import lease as leases
from tune.storage.conditional import S3Object, SettledObject, conditional
from tune.storage.lease import LEASE, Lease, seems_held, take

URL = "s3://shop/studies/small/one"


@pytest.fixture(params=["s3", "folder"])
def thing(request, store, tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.2)
    if request.param == "s3":
        found = conditional(Place.of(f"{URL}/{LEASE}"))
        assert isinstance(found, S3Object)
        assert store.objects("studies") == [], "what tried the conditions is gone"
    else:
        found = SettledObject(Place.of(str(tmp_path / LEASE)), settle_s=0.05)
    return found


@pytest.fixture
def held(thing) -> Iterator[Lease]:
    lease = take(thing, URL)
    yield lease
    lease.release()


def test_a_second_driver_is_refused_and_told_who_has_it(thing, held) -> None:
    began = time.monotonic()
    with pytest.raises(
        StudyError, match=r"another driver runs it: process \d+ on .+ has its lease "
    ):
        take(thing, URL, look_s=0.05)
    assert time.monotonic() - began < 5
    held.check()


def test_a_released_lease_is_free_at_once_and_counts_up(thing) -> None:
    for term in (1, 2, 3):
        lease = take(thing, URL)
        assert lease.term == term
        lease.release()


def test_a_lease_that_nobody_renews_is_taken_and_its_driver_hears_of_it(thing, monkeypatch) -> None:
    stalled = threading.Event()
    monkeypatch.setattr(Lease, "_keep", lambda self: stalled.wait(20))  # as a process that hangs
    first = take(thing, URL)
    monkeypatch.undo()
    began = time.monotonic()
    second = take(thing, URL, term_s=1.0, look_s=0.05)
    assert 1.0 <= time.monotonic() - began < 5
    assert second.term == 2
    first._sure_until = 0.0
    with pytest.raises(StudyError, match=r"another driver went on with it \(process \d+ on"):
        first.check()
    stalled.set()
    first.release()  # leaves what is not its own
    second.check()
    second.release()


def test_a_renewal_whose_answer_was_lost_is_no_loss(thing, held) -> None:
    put = thing.replace
    try:
        thing.replace = lambda content, expected: put(content, expected) and None
        held._renew()
    finally:
        del thing.replace
    assert held.lost is None
    held._renew()
    assert held.is_sure


def test_of_drivers_that_start_together_one_has_it(thing) -> None:
    had, refused = [], []

    def begin() -> None:
        try:
            had.append(take(thing, URL, look_s=0.05))
        except StudyError as error:
            refused.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(had), len(refused)) == (1, 3)
    had[0].release()


def test_what_a_list_says_of_it(store) -> None:
    place = Place.of(URL)
    assert not seems_held(place)
    lease = take(conditional(place / LEASE), URL)
    assert seems_held(place)
    lease.release()
    assert not seems_held(place)
    (place / LEASE).write(json.dumps({"owner": "one who is gone", "until": 5}).encode())
    assert not seems_held(place)


def test_a_store_that_is_away_for_a_while_costs_no_lease(thing, monkeypatch, caplog) -> None:
    monkeypatch.setattr(leases, "RENEW_S", 0.02)
    lease = take(thing, URL)
    put, away = thing.replace, threading.Event()

    def fail(content, expected):
        away.set()
        raise HbprError("the object store does not answer")

    thing.replace = fail
    assert away.wait(20)
    lease._sure_until = 0.0
    with pytest.raises(HbprError, match="does not answer"):
        lease.check()
    assert lease.lost is None
    thing.replace = put
    lease.check()
    assert lease.is_sure
    assert caplog.text.count("cannot be renewed now") == 1
    lease.release()
