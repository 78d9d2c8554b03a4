"""Where trials are placed."""

import copy
import pickle

import pytest
from ray.tune import PlacementGroupFactory

from tune.settings.sections import ResourceSettings
from tune.study import placement
from tune.study.placement import OnFitNodes


def test_nodes_that_have_failed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        placement, "placement_group", lambda *what, **how: asked.append((what, how))
    )
    unfit: set[str] = set()
    request = OnFitNodes(ResourceSettings(cpu=2, gpu=0.5), lambda: unfit)
    request.to_placement_group()
    unfit |= {"b", "a"}
    copy.deepcopy(request).to_placement_group()  # Tune copies it for every trial
    bundles = [{"CPU": 2.0, "GPU": 0.5}]
    assert asked == [
        ((bundles, "PACK"), {"bundle_label_selector": None}),
        ((bundles, "PACK"), {"bundle_label_selector": [{"ray.io/node-id": "!in(a, b)"}]}),
    ]


def test_it_is_stored_as_the_resources_alone() -> None:
    request = OnFitNodes(ResourceSettings(), lambda: set())
    stored = pickle.loads(pickle.dumps(request))  # noqa: S301 - its own
    assert type(stored) is PlacementGroupFactory
    assert stored == request
    assert hash(stored) == hash(request)
