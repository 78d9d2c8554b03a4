"""Rules between the settings of a study: what cannot be searched together, and what to do instead.

Settings raise these as their own problems. What a population needs is in
`tune.schedulers.population`.
"""

from typing import TYPE_CHECKING

from hbpr.errors import ConfigError, SpaceError
from hbpr.names import COSTS, parse_metric_name
from tune.space.dimensions import Choice, written_settings

if TYPE_CHECKING:
    from tune.settings.sections import StudySettings, SweepSettings
    from tune.space import Space


def check_recorded(name: str, place: str = "") -> None:
    """Refuse what a trial does not record of its model.

    Raises:
        ConfigError: It is neither a validation metric nor a cost.
    """
    if name in COSTS:
        return
    try:
        part = parse_metric_name(name, COSTS).part
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from None
    if part != "val":
        raise ConfigError(
            f"{place}metric must be a validation metric (val/...), {' or '.join(COSTS)}, got "
            f"{name!r}"
        )


def check_goals(sweep: "SweepSettings") -> None:
    """Refuse objectives and limits that trials cannot be compared by.

    Raises:
        ValueError: The message starts with the setting that is to be changed.
    """
    goals = sweep.goals()
    first, names = goals.objectives[0], [each.metric for each in goals.objectives]
    if first.metric in COSTS or first.mode == "min":
        raise ValueError(
            "objectives: the first picks each trial's best epoch, so it must be a validation "
            f"metric with mode max, got {first.metric} with mode {first.mode}"
        )
    if first.metric != sweep.metric:
        raise ValueError(
            f"metric is the first of objectives, got {sweep.metric} beside {first.metric}; "
            "leave metric out"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"objectives: {twice[0]} is named twice")
    for name in sweep.limits:
        check_recorded(name, "limits: ")
    if not goals.plain:
        _check_beside_goals(sweep, "several objectives" if goals.several else "limits")


def _check_beside_goals(sweep: "SweepSettings", what: str) -> None:
    """Refuse what knows one metric and nothing else.

    Args:
        sweep: A search with several objectives or limits.
        what: Which of the two, in words.
    """
    if sweep.scheduler.kind != "none":
        raise ValueError(
            f"scheduler.kind {sweep.scheduler.kind} compares trials by one metric, so with "
            f"{what} it would stop trials that can win. Leave scheduler out, or set kind: none"
        )
    if sweep.search.algorithm == "cmaes":
        raise ValueError(
            f"search.algorithm: cmaes knows one objective and no limits, got {what}. Search "
            "with tpe, nsga2 or gp"
        )
    if sweep.start_from:
        raise ValueError(
            f"start_from: with {what} earlier trials are not learnt from, since their studies "
            "need not have measured the same. Start with the best settings instead: "
            f"start_with: [{{best: {{study: {sweep.start_from[0]}}}}}]"
        )
    for name in ("target", "plateau"):
        if sweep.goals().several and getattr(sweep.budget, name) is not None:
            raise ValueError(
                f"budget.{name} looks at one value, and several objectives have no best one. "
                "Use wall_s, train_s or num_trials"
            )


def check_grid(sweep: "SweepSettings") -> None:
    """Refuse what asks for other trials than the points of a grid.

    Raises:
        ValueError: The message names the setting that is to be left out.
    """
    if sweep.search.algorithm != "grid":
        return
    for name in ("num_trials", "start_with", "start_from"):
        if getattr(sweep, name):
            raise ValueError(
                f"a grid runs all its points, got {name}={getattr(sweep, name)}. Leave {name} "
                "out, or search with tpe or random."
            )


def check_fidelity(study: "StudySettings") -> None:
    """Refuse data that are to grow where nothing says when, or twice.

    Raises:
        ValueError: The message starts with the setting that is to be changed.
    """
    scheduler = study.sweep.scheduler
    if scheduler.fidelity == "epochs":
        return
    if scheduler.kind not in {"asha", "hyperband"}:
        raise ValueError(
            "sweep.scheduler.fidelity: data grow where asha or hyperband halve the trials, got "
            f"kind {scheduler.kind}. Take one of these, or leave fidelity out"
        )
    growth = "training.growth"
    if study.training.growth is not None or any(
        name == growth or name.startswith(f"{growth}.")
        for name in written_settings(study.sweep.space)
    ):
        raise ValueError(
            "sweep.scheduler.fidelity: data sets training.growth, which is given or searched "
            "too. Leave one of them out"
        )


def check_reported(study: "StudySettings") -> None:
    """Refuse a list length that a trial need not evaluate; that of the monitor is checked already.

    Raises:
        ValueError: The message names the metric.
    """
    searched = written_settings(study.sweep.space)
    for name in study.sweep.goals().metrics[1:]:
        k = None if name in COSTS else parse_metric_name(name).k
        if k is not None and "training.top_k" in searched:
            raise ValueError(f"sweep: {name} needs a fixed training.top_k, which is searched")
        if k is not None and k not in study.training.top_k:
            raise ValueError(
                f"sweep: {name} needs {k} in training.top_k, got {list(study.training.top_k)}"
            )


def check_ranges(space: "Space") -> None:
    """Refuse a space in which CMA-ES has nothing to do.

    Raises:
        SpaceError: Fewer than two ranges are searched in every trial.
    """
    ranges = [d.key for d in space.dimensions if not d.when and not isinstance(d.domain, Choice)]
    if len(ranges) < 2:
        raise SpaceError(
            "search.algorithm: cmaes needs two or more ranges ({low, high}) without `when`, got "
            f"{', '.join(ranges) or 'none'}; lists of values are drawn at random. Search with tpe."
        )
