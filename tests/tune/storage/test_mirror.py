"""A study's folder and its copy in a store: what is brought down is what was there."""

import json
import random
import shutil

import pytest

from hbpr.errors import StudyError, StudyFolderError
from hbpr.places import Place
from hbpr.tracking.records import Parent, TrialRecord
from tune.storage import mirror as mirrors
from tune.storage.bring import bring
from tune.storage.conditional import conditional
from tune.storage.kept import KeptInStore, take_over
from tune.storage.lease import LEASE, take
from tune.storage.mirror import Mirror, states_of

URL = "s3://shop/studies/small/one"


@pytest.fixture
def place(store, monkeypatch) -> Place:
    monkeypatch.setattr(mirrors, "EVERY_S", 600.0)  # the tests copy when they say so
    return Place.of(URL)


@pytest.fixture
def lease(place):
    found = take(conditional(place / LEASE), URL)
    yield found
    found.release()


def begin(folder) -> None:
    (folder / "outbox").mkdir(parents=True)
    (folder / "settings.json").write_text("{}")
    (folder / "journal.log").write_bytes(b"a\nb\n")
    (folder / "outbox" / "events.jsonl").write_bytes(b"1\n")


def content_of(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_comes_down_is_what_went_up(place, lease, tmp_path) -> None:
    folder, there = tmp_path / "folder", tmp_path / "there"
    begin(folder)
    mirror = Mirror(folder, place, lease, {}, pytest.fail)
    assert mirror.recorded() == 2, "what is there already was brought from the store"
    mirror.abandon()
    folder = tmp_path / "new"
    mirror = Mirror(folder, place, lease, {}, pytest.fail)
    begin(folder)
    (folder / "model").mkdir()
    (folder / "model" / "about.json").write_text("{}")
    (folder / "checkpoints" / "trial-1").mkdir(parents=True)
    (folder / "checkpoints" / "trial-1" / "x").write_text("stays")
    (folder / "ray").mkdir()
    (folder / "ray" / "x").write_text("stays")
    (folder / ".model-1.partial").write_text("half")
    (folder / "outbox" / "lock").touch()
    assert mirror.recorded() == 0
    mirror.flush()
    assert mirror.recorded() == 2
    bring(place, there)
    wanted = content_of(folder)
    for name in ("checkpoints/trial-1/x", "ray/x", ".model-1.partial", "outbox/lock"):
        del wanted[name]
    assert content_of(there) == wanted
    (folder / "settings.json").write_text('{"more": 1}')
    shutil.rmtree(folder / "model")
    mirror.close()
    bring(place, there)
    assert (there / "settings.json").read_text() == '{"more": 1}'
    assert not (there / "model").exists()


def test_half_a_line_waits_and_segments_become_one(place, lease, store, tmp_path) -> None:
    folder, there, draw = tmp_path / "folder", tmp_path / "there", random.Random(0)
    mirror = Mirror(folder, place, lease, {}, pytest.fail)
    begin(folder)
    mirror.flush()
    with (folder / "journal.log").open("ab", buffering=0) as journal:
        for _ in range(130):
            journal.write(b"x" * draw.randrange(9) + b"\n" + b"half")
            mirror.flush()
            journal.write(b"\n")
    (folder / "journal.log").open("ab").write(b"half")
    mirror.close()
    assert len(store.objects("studies/small/one/log/00001/journal.log/")) < 60
    bring(place, there)
    assert (there / "journal.log").read_bytes() == (folder / "journal.log").read_bytes()[:-4]


def test_the_next_sitting_takes_over_and_the_last_one_adds_nothing(
    place, store, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(take.__globals__["Lease"], "_keep", lambda self: None)
    thing = conditional(place / LEASE)
    stale, folder = take(thing, URL), tmp_path / "first"
    mirror = Mirror(folder, place, stale, {}, pytest.fail)
    begin(folder)
    mirror.flush()
    fresh = take(thing, URL, term_s=0.2, look_s=0.05)
    other = tmp_path / "second"
    bring(place, other)
    done = []

    def drop(*numbers):
        done.append((numbers, store.objects("studies/small/one/log/00002/journal.log")))

    second = Mirror(other, place, fresh, states_of(other), drop)
    with (folder / "journal.log").open("ab") as journal:
        journal.write(b"of the first\n")
    mirror.flush()  # it does not know yet
    with (other / "journal.log").open("ab") as journal:
        journal.write(b"of the second\n")
    second.ended(7)
    second.ended(9)
    assert done == []
    second.flush()
    ((numbers, keys),) = done
    assert numbers == (7, 9)
    assert len(keys) == 1, "the store has what the journal says of their end"
    stale._sure_until = 0.0
    mirror.ended(7)  # it is no longer its study: nothing is dropped
    with pytest.raises(StudyError, match="another driver went on with it"):
        mirror.flush()
    assert "this one stops" in str(mirror.lost)
    mirror.abandon()
    second.close()
    bring(place, tmp_path / "third")
    assert (tmp_path / "third" / "journal.log").read_bytes() == b"a\nb\nof the second\n"
    begins = json.loads(store.read("studies/small/one/log/00002/begins.json"))
    assert begins == {"journal.log": 4, "outbox/events.jsonl": 2}


def test_the_journal_goes_up_before_the_records(place, lease, tmp_path, monkeypatch) -> None:
    folder, order = tmp_path / "folder", []
    mirror = Mirror(folder, place, lease, {}, pytest.fail)
    begin(folder)
    grow = Mirror._grow

    def late(self, name, end):
        order.append(name)
        if name == "journal.log":  # trials report meanwhile
            (folder / "outbox" / "events.jsonl").open("ab").write(b"2\n")
        grow(self, name, end)

    monkeypatch.setattr(Mirror, "_grow", late)
    mirror.flush()
    assert order == ["journal.log", "outbox/events.jsonl"]
    assert mirror.recorded() == 2, "the journal in the store may not know the second"
    mirror.flush()
    assert mirror.recorded() == 4
    mirror.close()


def test_where_there_is_no_study(place, tmp_path) -> None:
    with pytest.raises(StudyFolderError, match="there is no study"):
        bring(place, tmp_path / "there")


def trial(number: int, *epochs: int, state: str = "RUNNING", parent: int | None = None):
    reports = dict.fromkeys(epochs, 0.5)
    copied = None if parent is None else Parent(0, parent, 0)
    return TrialRecord(
        number=number, values={}, state=state, value=None, reports=reports, parent=copied
    )


def test_a_new_sitting_goes_on_from_checkpoints_that_the_journal_knows(place, store) -> None:
    old = KeptInStore(f"{URL}/checkpoints/00001")

    def state(text):
        return lambda folder: (folder / "state").write_text(text)

    for number, epoch in ((1, 4), (1, 8), (2, 4), (3, 2), (4, 6), (5, 6), (5, 8)):
        old.save(number, epoch, state(f"{number} at {epoch}"))
    trials = [
        trial(1, 2, 4, 6),
        trial(2, 2),
        trial(3, 2, state="COMPLETE"),
        trial(4, parent=6),
        trial(5, 8),
    ]
    take_over(place / "checkpoints", 2, trials)
    new, read = KeptInStore(f"{URL}/checkpoints/00002"), []
    loaded = {
        number: new.load(number, lambda folder: read.append((folder / "state").read_text()))
        for number in range(1, 6)
    }
    assert loaded == {1: True, 2: False, 3: False, 4: True, 5: True}
    assert read == ["1 at 4", "4 at 6", "5 at 8"]
    assert len(store.objects("studies/small/one/checkpoints")) >= 3
    assert not [
        key for key in store.objects("studies/small/one/checkpoints/00001/") if key[-1] != "/"
    ]
