import errno
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr.errors import StudyError, TrackingError
from tune.outbox import Event, Outbox, Sender


def numbers(outbox: Outbox, limit: int = 500) -> list[int]:
    events, position = outbox.take(limit)
    outbox.acknowledge(position)
    return [event["n"] for event in events]


def test_events_come_out_in_order_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert outbox.is_empty
    for n in range(7):
        outbox.append({"n": n})
    assert not outbox.is_empty
    assert outbox.waiting() == 7
    assert numbers(outbox, limit=3) == [0, 1, 2]
    assert numbers(outbox) == [3, 4, 5, 6]
    assert outbox.is_empty
    assert outbox.waiting() == 0
    assert [event["n"] for event in outbox.events()] == list(range(7))


def test_what_was_not_acknowledged_comes_again_in_the_next_process(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for n in range(4):
        outbox.append({"n": n})
    assert numbers(outbox, limit=1) == [0]
    outbox.take()
    outbox.close()
    again = Outbox(tmp_path)
    again.append({"n": 4})
    assert numbers(again) == [1, 2, 3, 4]


@settings(max_examples=40, deadline=None)
@given(actions=st.lists(st.sampled_from("aaartk"), max_size=40))
def test_nothing_is_lost_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    """a: append; r: reopen, as after a crash; t: take and crash; k: take and acknowledge."""
    folder = tmp_path_factory.mktemp("outbox")
    outbox, added, sent = Outbox(folder), 0, []
    for action in actions:
        if action == "a":
            outbox.append({"n": added})
            added += 1
        elif action == "r" or action == "t":
            if action == "t":
                outbox.take(2)
            outbox.close()
            outbox = Outbox(folder)
        else:
            sent += numbers(outbox, limit=2)
    while not outbox.is_empty:
        sent += numbers(outbox)
    outbox.close()
    assert sent == list(range(added))


def test_a_line_torn_by_a_crash_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"n":0}\n{"n":')
    outbox = Outbox(tmp_path)
    outbox.append({"n": 1})
    assert numbers(outbox) == [0, 1]


def test_a_line_longer_than_a_block_is_handed_out(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    long = "x" * (5 << 20)  # the settings of a grid of very many values
    for n, text in enumerate(("", long, "")):
        outbox.append({"n": n, "text": text})
    assert numbers(outbox) == [0]
    assert numbers(outbox) == [1, 2]
    assert outbox.is_empty


def test_a_long_line_torn_by_a_crash_is_dropped_whole(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"n":0}\n{"text":"' + b"x" * (5 << 20))
    outbox = Outbox(tmp_path)
    outbox.append({"n": 1})
    assert numbers(outbox) == [0, 1]


def test_an_unreadable_line_is_skipped_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"n":0}\nnot json\n17\n{"n":1}\n')
    assert numbers(Outbox(tmp_path)) == [0, 1]
    assert "unreadable" in caplog.text


def test_a_full_disk_loses_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(tmp_path)
    outbox.append({"n": 0})
    write = os.write
    left = [10]

    def full(handle: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part, left[0] = data[: left[0]], 0
        return write(handle, part[:5])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for n in (1, 2, 3):
            outbox.append({"n": n})
        assert caplog.text.count("No space left") + caplog.text.count("bytes were written") == 1
        assert numbers(outbox, limit=2) == [0, 1], "from memory"
    outbox.append({"n": 4})
    assert numbers(outbox) == [2, 3, 4]
    assert [event["n"] for event in outbox.events()] == [0, 2, 3, 4], "written when space returned"


def test_one_process_at_a_time_holds_it(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox")
    with pytest.raises(StudyError, match="another process runs it"):
        Outbox(tmp_path / "outbox")
    first.close()
    Outbox(tmp_path / "outbox").close()


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
    assert outbox.waiting() == len(outbox.aside) == 2
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
    assert [event["n"] for event in outbox.aside.events()] == [0]
    sender.close()


def test_the_end_of_a_study_does_not_wait_long_for_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tune.outbox._PATIENCE_S", 0.5)
    outbox, store = Outbox(tmp_path), Store(refusals=10**6)
    outbox.append({"n": 0})
    sender = Sender(outbox, store, "X")
    start = time.monotonic()
    assert not sender.flush(30.0)
    assert time.monotonic() - start < 5
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
