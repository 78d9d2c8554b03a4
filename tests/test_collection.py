import gc

import pytest

from hbpr.collection import paused_collection


def test_the_collector_is_afterwards_as_it_was() -> None:
    with paused_collection():
        assert not gc.isenabled()
        with paused_collection():
            pass
        assert not gc.isenabled(), "the outer one still wants it"
    assert gc.isenabled()
    with pytest.raises(ValueError, match="x"), paused_collection():
        raise ValueError("x")
    assert gc.isenabled()
