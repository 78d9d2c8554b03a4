"""`hbpr.search`: a search for the best settings, started from Python."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from pydantic import ValidationError

from hbpr.data.given import as_interactions
from hbpr.data.interactions import Interactions
from hbpr.data.sources import Source
from hbpr.data.sources.memory import NAME as MEMORY
from hbpr.data.user_item import UserItemData
from hbpr.errors import ConfigError, SpaceError
from hbpr.settings.models import DataSettings, TrialSettings
from hbpr.settings.problems import describe
from hbpr.settings.start import good_start
from hbpr.settings.yaml import Document, load_yaml
from tune.api.study import Callbacks, Study, run_until_stopped
from tune.schedulers import SchedulerSettings
from tune.settings import StudyPlan, StudySettings, make_plan
from tune.settings.load import with_place
from tune.settings.short_forms import long_form
from tune.space.objects import as_written

#: What settings say of data in memory, beside their name.
_OF_DATA_IN_MEMORY: Final = ("split", "candidates", "rating_threshold")


class MoreOfSweep(TypedDict, total=False):
    """Further keys of a file's ``sweep`` section; what each means says `SweepSettings`."""

    objectives: Sequence[Mapping[str, Any]]
    limits: Mapping[str, Mapping[str, float]]
    constraints: Sequence[str]
    start_with: Sequence[str | Mapping[str, Any]]
    start_from: Sequence[str]
    resources: Mapping[str, float]
    max_concurrent: int
    faults: Mapping[str, Any]
    final: Mapping[str, Any]
    storage: str | Path


def search(  # noqa: PLR0913 - a public function, a setting each
    data: Any = None,
    *,
    space: Mapping[str, Any] | None = None,
    metric: str | None = None,
    num_trials: int | None = None,
    search: str | Mapping[str, Any] | None = None,
    scheduler: str | Mapping[str, Any] | SchedulerSettings | type[SchedulerSettings] | None = None,
    budget: Mapping[str, float] | None = None,
    base: Mapping[str, Any] | TrialSettings | Document | str | Path | None = None,
    experiment: str | None = None,
    columns: Mapping[str, Any] | None = None,
    callbacks: Callbacks = (),
    progress: bool = True,
    cpus: int | None = None,
    address: str | None = None,
    **sweep: Unpack[MoreOfSweep],
) -> Study:
    """Search for the settings that rank best on validation, in parallel; refit and score the best.

    It does what ``hbpr tune`` does with a file: trials run on a private Ray or a cluster and are
    recorded in MLflow, weak ones are stopped early, and the best one is trained again on all but
    the test part and scored on it once beside the baselines. Ctrl-C stops in order: the study is
    returned as far as it came (`Study.interrupted`), and `Study.resume` goes on with it.

    Args:
        data: What to learn from: a data frame of pandas, polars or Arrow, a row an interaction;
            `UserItemData`; `Interactions`, which are split; or a source, as a file's ``data``
            section (such as ``{"source": "synthetic"}``) or as a function of your own that returns
            a data frame or `UserItemData`. None: the ``data`` section of `base`.
            Data in memory go to the workers, and into the study's folder, so that it can go on in
            another process.
        space: Dotted setting -> what to search: a list of values, ``{"low": ..., "high": ...,
            "log": ..., "step": ..., "when": ...}``, ``{"choices": [...]}``, or `hbpr.Uniform`,
            `hbpr.LogUniform`, `hbpr.Integer`, `hbpr.Choice`. None: the one of the file in `base`.
        metric: Validation metric that picks the winner; None: ``val/ndcg_at_10``.
        num_trials: Trials; None: 32. A grid has its points.
        search: Algorithm that suggests settings, such as ``"tpe"``, ``"random"`` or ``"grid"``, or
            ``{"algorithm": ..., "seed": ...}``.
        scheduler: What stops weak trials early, such as ``"asha"`` or ``"none"``, or ``{"kind":
            ..., ...}``, or one of your own: its dotted path, class or settings.
        budget: What ends the search before all trials have run: ``wall_s``, ``train_s``,
            ``target``, ``plateau``.
        base: Settings that are not searched: nested dictionaries as in YAML, `TrialSettings`, or
            the path of a YAML file, whose ``sweep`` section, if it has one, is what the arguments
            here are laid over; also such a file that was read. None: settings that rank well
            without a search.
        experiment: Name of the MLflow experiment; None: the name in `base`, or the data's.
        columns: Meaning of a data frame's columns by the keys of ``data.table``, such as
            ``{"user": "customer", "item": "sku", "time": "at"}``; user and item are the columns
            of these names, if left out.
        callbacks: A function, or several, called with a `hbpr.TrialReport` for each evaluation of
            a trial and a `hbpr.TrialEnd` for each trial that ended. What one raises ends the
            study; it can be resumed.
        progress: Show progress on stdout.
        cpus: CPUs of a private Ray; None: all of the machine.
        address: ``HOST:PORT`` of a Ray cluster to join, or ``"auto"`` on one of its nodes; None:
            ``RAY_ADDRESS``, or else a private Ray. A Ray that this process has started is used.
        **sweep: Further keys of a file's ``sweep`` section, such as ``constraints``,
            ``start_with``, ``objectives`` or ``final``.

    Returns:
        The study: `Study.best_settings`, `Study.best_value`, `Study.to_frame`, `Study.system`.

    Raises:
        ConfigError: A setting is wrong; a line for each problem, as for a file.
        SpaceError: A dimension is wrong.
        DataError: The data are missing or wrong, or a part that a search needs is empty.
        TrackingError: MLflow cannot be used.
        ClusterError: No Ray, or one that cannot run a trial.
        StudyError: No trial came to its end, or the disk is full.
        StudyInterrupted: The process was asked to end (SIGTERM); the study can be resumed.

    Example:
        >>> import hbpr
        >>> study = hbpr.search(  # doctest: +SKIP
        ...     frame,
        ...     space={"model.n_latent": [32, 64], "optimizer.lr": hbpr.LogUniform(0.01, 0.1)},
        ...     num_trials=16,
        ... )
    """
    given: dict[str, Any] = {
        "space": None if space is None else as_written(space),
        "metric": metric,
        "num_trials": num_trials,
        "search": {"algorithm": search} if isinstance(search, str) else search,
        "scheduler": {"kind": scheduler} if isinstance(scheduler, str | type) else scheduler,
        "budget": budget,
        **_plain(dict(sweep)),
    }
    given = {key: value for key, value in given.items() if value is not None}
    document = _document(base)
    written, in_memory = _with_data(document.data, data)
    written = _with_experiment(written, experiment, in_file=document.path != Path())
    plan = plan_search(Document(written, document.path, document.lines), given)
    held = as_interactions(data, plan.settings.data, columns) if in_memory else None
    return run_until_stopped(
        plan, data=held, address=address, cpus=cpus, progress=progress, callbacks=callbacks
    )


def plan_search(document: Document, given: Mapping[str, Any]) -> StudyPlan:
    """Plan the search of some settings, with keys of their ``sweep`` section laid over it.

    Args:
        document: The settings; a path of ``.`` stands for none.
        given: Keys of ``sweep``, which win.

    Raises:
        ConfigError: A setting is wrong; a line for each problem.
        SpaceError: A dimension is wrong; its dotted key comes first.
    """
    sweep = document.data.get("sweep", {})
    sweep = long_form(sweep) if isinstance(sweep, Mapping) else sweep
    if given or "sweep" not in document.data:
        sweep = {**(sweep if isinstance(sweep, Mapping) else {}), **given}
    if isinstance(sweep, Mapping) and not sweep.get("space"):
        raise SpaceError(
            "space: name at least one setting to search, such as "
            'space={"optimizer.lr": {"low": 0.01, "high": 0.1, "log": True}}'
        )
    if isinstance(sweep, Mapping) and isinstance(sweep["space"], Mapping):
        sweep = {**sweep, "space": as_written(sweep["space"])}

    def place(key: str) -> str:
        if any(key == f"sweep.{name}" or key.startswith(f"sweep.{name}.") for name in given):
            return key
        return document.place(key)

    try:
        settings = StudySettings.model_validate({**document.data, "sweep": sweep})
    except ValidationError as error:
        raise ConfigError(describe(error, StudySettings, place)) from None
    try:
        return make_plan(settings)
    except SpaceError as error:
        if "space" in given or not document.lines:
            raise
        raise with_place(error, document) from None


def _document(
    base: Mapping[str, Any] | TrialSettings | Document | str | Path | None,
) -> Document:
    """Return the settings that are not searched as they are written; those in memory have no path.

    Raises:
        ConfigError: The file cannot be read, or `base` is none of what it may be.
    """
    if isinstance(base, str | Path):
        return load_yaml(base)
    if isinstance(base, Document):
        return base
    if base is None:
        base = good_start().model_dump(exclude={"data", "mlflow"})
    if isinstance(base, TrialSettings):
        base = base.model_dump()
    if not isinstance(base, Mapping):
        raise ConfigError(
            "base: expected nested dictionaries of settings, TrialSettings or the path of a YAML "
            f"file, got {type(base).__name__}"
        )
    return Document(dict(base), Path(), {})


def _with_data(written: Mapping[str, Any], data: Any) -> tuple[dict[str, Any], bool]:
    """Return settings that name the data, and whether these are in memory."""
    found = dict(written)
    if data is None:
        found.setdefault("data", {})
        return found, False
    if isinstance(data, DataSettings):
        data = data.model_dump()
    if isinstance(data, Mapping) and not _is_table(data):
        found["data"] = dict(data)
        return found, False
    before = found.get("data")
    kept = dict(before) if isinstance(before, Mapping) else {}
    if isinstance(data, Source) or inspect.isroutine(data):
        found["data"] = {
            **{key: kept[key] for key in _OF_DATA_IN_MEMORY if key in kept},
            "source": data,
        }
        return found, False
    given = getattr(data, "name", None) if isinstance(data, UserItemData | Interactions) else None
    own = kept.get("name") if kept.get("source", MEMORY) == MEMORY else None
    found["data"] = {
        **{key: kept[key] for key in _OF_DATA_IN_MEMORY if key in kept},
        "source": MEMORY,
        "name": str(given or own or "data"),
    }
    return found, True


def _with_experiment(written: dict[str, Any], name: str | None, *, in_file: bool) -> dict[str, Any]:
    """Return settings whose experiment has a name: the one given, or written, or the data's."""
    mlflow, data = written.get("mlflow", {}), written["data"]
    if not isinstance(mlflow, Mapping) or not isinstance(data, Mapping):
        return written  # refused where it stands
    own = None if in_file or "experiment_name" in mlflow else data.get("name")
    found = name or own
    return written if found is None else {**written, "mlflow": {**mlflow, "experiment_name": found}}


def _is_table(data: Mapping[str, Any]) -> bool:
    """Whether a mapping holds columns rather than settings, whose keys are known."""
    return bool(data) and not set(data) & set(DataSettings.model_fields)


def _plain(sweep: dict[str, Any]) -> dict[str, Any]:
    if isinstance(sweep.get("storage"), Path):
        sweep["storage"] = str(sweep["storage"])
    return sweep
