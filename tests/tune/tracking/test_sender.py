import threading
import time
from pathlib import Path

import pytest

from hbpr.errors import TrackingError
from tune.tracking.outbox import Event, Outbox
from tune.tracking.sender import Sender


def numbers(outbox: Outbox) -> list[int]:
    events, position = outbox.take()
    outbox.acknowledge(position)
    return [event["n"] for event in events]


class Store:
    """Takes events, after refusing them a few times."""

    def __init__(self, refusals: int = 0, error: type[Exception] = TrackingError) -> None:
        self.refusals, self.error = refusals, error
        self.calls = 0
        self.seen: list[int] = []
        self.thread = ""

    def __call__(self, events: list[Event]) -> None:
        self.calls += 1
        self.thread = threading.current_thread().name
        if self.refusals:
            self.refusals -= 1
            raise self.error("MLflow at X cannot be used: it does not answer")
        self.seen += [event["n"] for event in events]


def test_the_sender_delivers_in_chunks_from_its_own_thread(tmp_path: Path) -> None:
    outbox, store = Outbox(tmp_path), Store()
    for n in range(1200):
        outbox.append({"n": n})
    sender = Sender(outbox, store, "X")
    assert sender.flush(5.0)
    assert store.seen == list(range(1200))
    assert store.calls == 3
    assert store.thread == "hbpr-recorder"
    outbox.append({"n": 1200})
    assert sender.flush(5.0)
    assert store.seen[-1] == 1200
    sender.close()
    assert Outbox.waiting(outbox) == 0


def test_a_store_that_is_away_gets_everything_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    outbox, store = Outbox(tmp_path), Store(refusals=1)
    for n in range(10):
        outbox.append({"n": n})
    sender = Sender(outbox, store, "X")
    assert not sender.flush(0.2), "it says that something is left"
    assert sender.flush(5.0)
    assert store.seen == list(range(10))
    assert caplog.text.count("does not answer") == 1
    assert "answers again" in caplog.text
    sender.close()


class Picky(Store):
    """Breaks on some events, whatever they come with, as a mistake in the client would."""

    def __init__(self, *poisonous: int, refusals: int = 0) -> None:
        super().__init__(refusals)
        self.poisonous = set(poisonous)

    def __call__(self, events: list[Event]) -> None:
        if any(event["n"] in self.poisonous for event in events):
            raise KeyError("n")
        super().__call__(events)


def test_a_record_that_cannot_be_sent_is_set_aside_alone_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, store = Outbox(tmp_path), Picky(3, 5)
    for n in range(8):
        outbox.append({"event": "result", "n": n, "trial": n})
    sender = Sender(outbox, store, "X")
    assert not sender.flush(5.0), "it says that something is left"
    assert store.seen == [0, 1, 2, 4, 6, 7]
    assert outbox.is_empty
    assert outbox.waiting() == len(outbox.dead_letters) == 2
    assert "a record (result of trial 3) cannot be sent to MLflow: KeyError" in caplog.text
    assert "hbpr study sync" in caplog.text
    outbox.append({"event": "result", "n": 8, "trial": 8})
    sender.flush(5.0)
    assert store.seen[-1] == 8
    sender.close()
    assert [event["n"] for event in outbox.events()] == list(range(9))


def test_a_batch_that_breaks_once_is_sent_record_by_record(tmp_path: Path) -> None:
    outbox, store = Outbox(tmp_path), Store(refusals=1, error=KeyError)
    for n in range(3):
        outbox.append({"n": n})
    sender = Sender(outbox, store, "X")
    assert sender.flush(5.0)
    assert store.seen == [0, 1, 2]
    assert outbox.waiting() == 0
    sender.close()


def test_what_was_set_aside_comes_again_with_all_of_its_run(tmp_path: Path) -> None:
    outbox, store = Outbox(tmp_path), Picky(2)
    for n in range(6):
        outbox.append({"event": "result", "n": n, "trial": n % 2})
    sender = Sender(outbox, store, "X")
    assert not sender.flush(5.0)
    sender.close()
    outbox.close()
    again = Outbox(tmp_path)
    assert again.waiting() == 1
    again.put_back()
    assert numbers(again) == [0, 2, 4]
    assert again.waiting() == 0


def test_the_store_goes_away_while_records_are_sent_one_by_one(tmp_path: Path) -> None:
    outbox, store = Outbox(tmp_path), Picky(0, refusals=1)
    for n in range(4):
        outbox.append({"event": "result", "n": n, "trial": n})
    sender = Sender(outbox, store, "X")
    assert not sender.flush(10.0)
    assert store.seen == [1, 2, 3]
    assert [event["n"] for event in outbox.dead_letters.events()] == [0]
    sender.close()


def test_the_end_of_a_study_does_not_wait_long_for_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune.tracking.sender._PATIENCE_S", 0.5)
    outbox, store = Outbox(tmp_path), Store(refusals=10**6)
    outbox.append({"n": 0})
    sender = Sender(outbox, store, "X")
    start = time.monotonic()
    assert not sender.flush(30.0)
    assert time.monotonic() - start < 20
    assert store.calls >= 2
    sender.close()
    assert sender.away_s > 0


def test_closing_keeps_what_could_not_be_sent(tmp_path: Path) -> None:
    outbox, store = Outbox(tmp_path), Store(refusals=10**6)
    outbox.append({"n": 0})
    sender = Sender(outbox, store, "X")
    start = time.monotonic()
    sender.close()
    assert time.monotonic() - start < 3
    outbox.close()
    assert numbers(Outbox(tmp_path)) == [0]
