"""Where trials are placed: on any node but those that have failed their check."""

from collections.abc import Callable, Collection
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.util import placement_group
from ray.util.placement_group import PlacementGroup

from tune.settings.sections import ResourceSettings

#: Ray's own label of a node's id.
_NODE_ID = "ray.io/node-id"


class OnFitNodes(PlacementGroupFactory):
    """The resources of a trial; which nodes are left out is asked whenever Tune asks for a place.

    Args:
        wanted: Resources of a trial.
        unfit: Returns the ids of nodes to leave out.
    """

    def __init__(self, wanted: ResourceSettings, unfit: Callable[[], Collection[str]]) -> None:
        super().__init__([{"CPU": wanted.cpu, "GPU": wanted.gpu}])
        self._unfit = unfit

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnFitNodes":
        """Tune copies what it was given for every trial; all go by the same nodes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Tune stores trials; there the resources alone count."""
        return PlacementGroupFactory, (self.bundles,)

    def to_placement_group(self) -> PlacementGroup:
        """Ask Ray for a place."""
        unfit = sorted(self._unfit())
        selector = [{_NODE_ID: f"!in({', '.join(unfit)})"}] if unfit else None
        asked: PlacementGroup = placement_group(
            self.bundles, self.strategy, bundle_label_selector=selector
        )
        return asked
