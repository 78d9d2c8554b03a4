"""How a ``sweep`` section may be written, and what follows from what it leaves out.

These run on the YAML's plain values, before they are checked: what is of a wrong type is handed on
as it is, and refused where it stands.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from hbpr.contracts.metric import use_metrics
from hbpr.errors import ConfigError
from hbpr.names import check_validation_metric, recommended_in
from hbpr.settings import hybrid_bpr

#: A metric that needs no length of a list in the settings.
_ALWAYS_REPORTED = "val/auc"


def complete(sweep: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a section in its long form, with a scheduler where that follows from the rest.

    A grid, and a study with several objectives or limits, run all trials to the end unless a
    scheduler is named.

    Raises:
        ValueError: Dotted settings stand beside other words.
    """
    sweep = long_form(sweep)
    dotted = [key for key in sweep if "." in str(key)]
    if dotted:
        raise ValueError(
            f"a dimension stands beside settings of the search, got {dotted[0]!r}. Put "
            "dimensions under sweep.space."
        )
    search = sweep.get("search")
    algorithm = search.get("algorithm") if isinstance(search, Mapping) else None
    to_the_end = algorithm == "grid" or sweep.get("objectives") or sweep.get("limits")
    if to_the_end and "scheduler" not in sweep:
        return {**sweep, "scheduler": {"kind": "none"}}
    return sweep


def long_form(sweep: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the long form of a short one; anything else as it is.

    The short form is a mapping of dotted settings only, such as ``{model.n_latent: [32, 64]}``: a
    grid over these lists.
    """
    if sweep and all("." in str(key) for key in sweep):
        return {"search": {"algorithm": "grid"}, "space": dict(sweep)}
    return sweep


def with_one_metric(study: Mapping[str, Any], default: str) -> Mapping[str, Any]:
    """Return a study's settings in which trials watch the metric that the study compares.

    ``sweep.metric`` wins, or the first of ``sweep.objectives``; where both are left out, a given
    ``training.monitor`` is taken, and else the default.
    """
    sweep, training = study.get("sweep"), study.get("training", {})
    if not isinstance(sweep, Mapping) or not isinstance(training, Mapping):
        return study
    with suppress(ConfigError, TypeError):  # refused where they stand
        use_metrics(training.get("metrics", ()))
    metric = (
        sweep.get("metric") or _first_objective(sweep) or hybrid_bpr.monitor(training) or default
    )
    if not isinstance(metric, str):
        return study
    if not _is_validation_metric(metric):  # one complaint, where it was written, is enough
        if sweep.get("metric"):
            return {**study, "training": {**training, "monitor": _ALWAYS_REPORTED}}
        return study
    long = {**study, "sweep": {**long_form(sweep), "metric": metric}}
    if not _is_validation_metric(str(training.get("monitor") or metric)):
        return long  # a wrong monitor that is written is refused where it stands
    return {**long, "training": {**training, "monitor": metric}}


def with_named_metrics(study: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a study's settings in which trials report what objectives and limits name."""
    sweep, training = study.get("sweep"), study.get("training", {})
    if not isinstance(sweep, Mapping) or not isinstance(training, Mapping):
        return study
    objectives, limits = sweep.get("objectives"), sweep.get("limits")
    named: list[Any] = list(limits) if isinstance(limits, Mapping) else []
    if isinstance(objectives, list | tuple):
        named += [each.get("metric") for each in objectives if isinstance(each, Mapping)]
    asked = training.get("metrics") or ()
    if not isinstance(asked, list | tuple):  # refused where it stands
        return study
    added = [name for name in recommended_in([str(name) for name in named]) if name not in asked]
    return {**study, "training": {**training, "metrics": [*asked, *added]}} if added else study


def _first_objective(sweep: Mapping[str, Any]) -> Any:
    objectives = sweep.get("objectives")
    first = objectives[0] if isinstance(objectives, Sequence) and objectives else None
    metric = first.get("metric") if isinstance(first, Mapping) else None
    return metric if _is_validation_metric(str(metric)) else None  # refused where it stands


def _is_validation_metric(name: str) -> bool:
    try:
        return bool(check_validation_metric(name))
    except ConfigError:
        return False
