"""Keys of hybrid-bpr's YAML in today's form, so that its files run as they stand."""

from collections.abc import Mapping
from typing import Any, Final

#: What one weight decay of all parameters is here.
_DECAYED: Final = ("reg_user", "reg_positive", "reg_negative", "reg_bias")
#: Keys of its ``data`` section that have no counterpart, and what is ours.
_NO_COUNTERPART: Final = {
    "train_ratio_neg": "observed negatives are parted by the shares of data.split.train and "
    "data.split.validation as well",
}


def optimizer(values: Any) -> Any:
    """Take the name in any case, and ``weight_decay`` as the L2 of all parameters."""
    if not isinstance(values, Mapping):
        return values
    found = dict(values)
    if isinstance(found.get("name"), str):
        found["name"] = found["name"].lower()
    if "weight_decay" in found:
        both = [key for key in _DECAYED if key in found]
        if both:
            raise ValueError(
                f"weight_decay stands for {', '.join(_DECAYED)}; give one or the other, got "
                f"weight_decay and {', '.join(both)}"
            )
        found |= dict.fromkeys(_DECAYED, found.pop("weight_decay"))
    return found


def training(values: Any) -> Any:
    """Take a single ``top_k``, which the monitor then follows."""
    if not isinstance(values, Mapping) or not _is_length(values.get("top_k")):
        return values
    k = values["top_k"]
    return {"monitor": f"val/ndcg_at_{k}", **values, "top_k": (k,)}


def monitor(values: Mapping[str, Any]) -> str | None:
    """Return the metric that a ``training`` section watches; None: it does not say."""
    found = training(values).get("monitor")
    return found if isinstance(found, str) else None


def data(values: Any) -> Any:
    """Take ``train_ratio_pos`` as the share to learn; half of the rest is validation."""
    if not isinstance(values, Mapping):
        return values
    for key, ours in _NO_COUNTERPART.items():
        if key in values:
            raise ValueError(f"{key} has no counterpart: {ours}, got {values[key]!r}")
    if "train_ratio_pos" not in values:
        return values
    found = dict(values)
    share = found.pop("train_ratio_pos")
    split = found.get("split") or {}
    if not isinstance(split, Mapping) or "train" in split:
        raise ValueError(
            f"train_ratio_pos is split.train; give one or the other, got {share!r} and a split"
        )
    if not isinstance(share, int | float) or not 0 < share < 1:
        raise ValueError(f"train_ratio_pos must be between 0 and 1, got {share!r}")
    found["split"] = {"train": share, "validation": round((1.0 - share) / 2, 12), **split}
    return found


def _is_length(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
