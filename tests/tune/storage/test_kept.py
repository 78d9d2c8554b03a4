"""What every kind of storage does with checkpoints."""

import logging
import pickle

import pytest

from hbpr.places import Place
from tune.storage import kept as module
from tune.storage.kept import KeptInFolder, KeptInStore, packed, used

from ..support.checkpoints import Contract, read, writing

URL = "s3://shop/studies/small/one/checkpoints/00001"


class TestInAFolder(Contract):
    @pytest.fixture
    def kept(self, tmp_path):
        return KeptInFolder(tmp_path)


class TestInAStore(Contract):
    @pytest.fixture
    def kept(self, store):
        return KeptInStore(URL)

    def test_an_older_one_stays_until_the_journal_surely_knows_the_newer(
        self, kept, store, monkeypatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

        def epochs() -> list[int]:
            names = [key for key in store.objects("studies") if "/epoch-" in key]
            return [int(name[-7:]) for name in names]

        for epoch, second, left in (
            (1, 0, [1]),
            (2, 10, [1, 2]),
            (3, 20, [1, 2, 3]),
            (4, 26, [2, 3, 4]),
        ):
            now[0] = second
            kept.save(7, epoch, writing("x"))
            assert epochs() == left

    def test_a_torn_object_is_passed_over(self, kept, caplog) -> None:
        kept.save(7, 2, writing("whole"))
        (Place.of(URL) / "trial-00007" / "epoch-0000004").write(packed(writing("torn"))[:-30])
        assert read(kept, 7) == "whole"
        assert "not whole" in caplog.text

    def test_a_store_that_is_away_costs_no_trial(self, kept, monkeypatch, caplog) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        with caplog.at_level(logging.WARNING):
            kept.save(7, 2, writing("x"))
        assert "the checkpoint of trial 7 is missed" in caplog.text
        assert "does not answer" in caplog.text

    def test_nothing_that_knows_a_secret_travels(self, kept, store) -> None:
        kept.save(7, 2, writing("x"))
        travelling = pickle.dumps(kept)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            assert store.env[name].encode() not in travelling


def test_an_archive_is_whole_or_not_used() -> None:
    content = packed(writing("x"))
    assert not any(
        used(content[:n], pytest.fail) for n in (0, 1, len(content) // 2, len(content) - 1)
    )
    assert used(content, lambda folder: None)
