"""Losses of one positive against its drawn negatives: one file each, and a line in `LOSSES`."""

from typing import TYPE_CHECKING, Final

from hbpr.tables import Table

if TYPE_CHECKING:
    from hbpr.training.losses.kind import LossKind

#: The losses by the name that settings use.
LOSSES: Final[Table["LossKind"]] = Table(
    {
        "bpr_loss": "hbpr.training.losses.bpr:BPR",
        "bpr_loss_v2": "hbpr.training.losses.bpr_v2:BPR_V2",
        "hinge_loss": "hbpr.training.losses.hinge:HINGE",
        "warp_loss": "hbpr.training.losses.warp:WARP",
        "softmax_loss": "hbpr.training.losses.softmax:SOFTMAX",
    },
    adapt="hbpr.contracts.loss:as_loss",
    group="losses",
)
