import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hbpr.errors import StudyError
from tune.tracking.outbox import Outbox


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


def test_what_is_acknowledged_after_closing_moves_nobody_else_back(tmp_path: Path) -> None:
    first = Outbox(tmp_path)
    for n in range(3):
        first.append({"n": n})
    _, position = first.take(limit=1)
    first.close()
    second = Outbox(tmp_path)
    assert numbers(second) == [0, 1, 2]
    first.acknowledge(position)
    assert second.waiting() == 0


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


def test_what_is_not_safe_yet_is_not_handed_out(tmp_path: Path) -> None:
    safe = [0]
    outbox = Outbox(tmp_path, lambda: safe[0])
    outbox.append({"n": 1})
    first = (tmp_path / "events.jsonl").stat().st_size
    outbox.append({"n": 2})
    assert outbox.take()[0] == []
    assert not outbox.is_empty
    safe[0] = first + 1
    assert [event["n"] for event in outbox.take()[0]] == [1]
    safe[0] = 2 * first
    events, position = outbox.take()
    assert [event["n"] for event in events] == [2]
    outbox.acknowledge(position)
    assert outbox.is_empty
    outbox.close()
