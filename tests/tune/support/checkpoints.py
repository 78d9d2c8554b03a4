"""What every kind of storage does with checkpoints: a contract."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def writing(text: str) -> Callable[[Path], None]:
    """What writes a checkpoint with a text in it."""

    def write(folder: Path) -> None:
        (folder / "state.npz").write_bytes(bytes(1000))
        (folder / "state.json").write_text(text)

    return write


def read(kept: Any, number: int) -> str | None:
    """The text of the newest checkpoint of a trial."""
    found: list[str] = []
    assert kept.load(number, lambda folder: found.append((folder / "state.json").read_text())) is (
        bool(found)
    )
    return found[0] if found else None


class Contract:
    """Every kind passes it."""

    @pytest.fixture
    def kept(self, store, tmp_path):
        raise NotImplementedError

    def test_the_newest_is_loaded(self, kept) -> None:
        assert read(kept, 7) is None
        kept.save(7, 2, writing("at 2"))
        kept.save(7, 10, writing("at 10"))
        kept.save(8, 4, writing("another trial"))
        assert read(kept, 7) == "at 10"
        travelled = pickle.loads(pickle.dumps(kept))  # noqa: S301  # our own
        assert read(travelled, 7) == "at 10"

    def test_an_epoch_is_written_once(self, kept) -> None:
        kept.save(7, 2, writing("first"))
        kept.save(7, 2, writing("second"))
        assert read(kept, 7) == "first"

    def test_what_ended_is_dropped(self, kept) -> None:
        kept.save(7, 2, writing("at 2"))
        kept.save(8, 2, writing("stays"))
        kept.drop(7)
        kept.drop(9)
        assert read(kept, 7) is None
        assert read(kept, 8) == "stays"

    def test_a_copy_begins_where_its_parent_was(self, kept) -> None:
        kept.save(7, 2, writing("of the parent"))
        kept.save(8, 5, writing("of a copy that a killed driver began"))
        kept.copy(7, 2, 8)
        assert read(kept, 8) == read(kept, 7) == "of the parent"

    def test_a_write_that_fails_leaves_what_was_there(self, kept) -> None:
        def fail(folder: Path) -> None:
            (folder / "state.json").write_text("half")
            raise RuntimeError

        kept.save(7, 2, writing("whole"))
        with pytest.raises(RuntimeError):
            kept.save(7, 4, fail)
        assert read(kept, 7) == "whole"
