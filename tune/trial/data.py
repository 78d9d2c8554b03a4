"""What a study makes sure of before Ray starts: its data, its storage, room for one trial."""

import json
from collections.abc import Mapping
from typing import TypeVar

from cluster.connect.ray import Runtime
from hbpr.contracts.metric import of_lists
from hbpr.data import load_data
from hbpr.data.interactions import Features, Interactions, Judged, UserItems
from hbpr.errors import ClusterError, ConfigError, DataError
from hbpr.settings.load import dotted
from hbpr.settings.models import DataSettings, TrialSettings
from tune.settings import StudyPlan, StudySettings
from tune.space.check import data_points, data_settings
from tune.storage.where import shared_place

#: Data, or a reference to them.
Held = TypeVar("Held")


def load_datasets(plan: StudyPlan, data: Interactions | None) -> dict[str, Interactions]:
    """Prepare the data of every data setting that a trial can have.

    Args:
        plan: The study's.
        data: Data in memory; they serve every trial under the key "".

    Returns:
        Data by `data_key`.

    Raises:
        ConfigError: Data settings are searched beside data in memory, or their values differ in
            what validation holds or what it is ranked among.
        DataError: Data are missing or wrong, or a part that a search needs is empty.
    """
    space, base = plan.space, plan.base
    if data is None:
        datasets = {data_key(each): load_data(each) for each in data_settings(space, base)}
    else:
        if data_points(space, base) != [{}]:
            raise ConfigError(
                "sweep.space: data.* is searched but the data were given in memory; leave these "
                "dimensions out, or name a source in data"
            )
        datasets = {"": data}
    for interactions in datasets.values():
        for part, key in (("train", "data.split.train"), ("validation", "data.split.validation")):
            if getattr(interactions, part).n_pairs == 0:
                raise DataError(
                    f"{interactions.name}: the {part} part has no positive interactions, and a "
                    f"search needs them (split: {interactions.split or 'unknown'}); raise {key}, "
                    "or add interactions"
                )
        if of_lists(plan.base.training.metrics):
            from hbpr.evaluation.recommended import check_described  # with a compiler

            check_described(plan.base.training.metrics, interactions)
    check_same_exam(datasets)
    return datasets


def check_same_exam(datasets: Mapping[str, Interactions]) -> None:
    """Refuse datasets whose metrics do not compare, as where a feature table brings more items."""
    (key, first), *others = datasets.items()
    for other_key, other in others:
        if other.exam == first.exam:
            continue
        one, two = (dotted({"data": json.loads(each)}) for each in (key, other_key))
        differ = [name for name in one | two if one.get(name) != two.get(name)]
        raise ConfigError(
            f"sweep.space: {', '.join(differ)}: the values differ in what validation holds or what "
            f"it is ranked among, so the trial with the easiest exam would win: "
            f"{_exam_words(one, differ, first)}, {_exam_words(two, differ, other)}. Set one value "
            "under data, or run a study for each"
        )


def _exam_words(settings: Mapping[str, object], names: list[str], data: Interactions) -> str:
    values = ", ".join(f"{settings.get(name)!r}" for name in names)
    return (
        f"{values} has {data.validation.n_pairs:,} pairs of {data.n_users:,} users held out among "
        f"{data.n_items:,} items"
    )


def data_key(settings: DataSettings) -> str:
    """Name a setting of the data: equal for settings that give the same arrays."""
    return settings.model_dump_json()


def data_of(settings: TrialSettings, datasets: Mapping[str, Held]) -> Held:
    """Return a trial's data, or the reference to them; those under the key "" serve every trial."""
    return datasets["" if "" in datasets else data_key(settings.data)]


def n_bytes(data: Interactions) -> int:
    """Return the size of all arrays of some data."""
    total = 0
    for value in vars(data).values():
        if isinstance(value, Judged):
            total += value.liked.nbytes
            value = value.pairs
        if isinstance(value, UserItems | Features):
            total += sum(getattr(array, "nbytes", 0) for array in vars(value).values())
        else:
            total += getattr(value, "nbytes", 0)
    return total


def checked_nodes(settings: StudySettings, ray: Runtime) -> list[str]:
    """Check the nodes of a cluster; return their ids. A private Ray needs no check.

    Raises:
        ClusterError: A node cannot run the study.
    """
    if ray.private:
        return []
    from cluster.connect.preflight import check_cluster

    wanted = settings.sweep.resources
    nodes = check_cluster(
        cpu=wanted.cpu,
        gpu=wanted.gpu,
        storage=shared_place(settings),
        may_come=settings.sweep.max_concurrent is not None,
    )
    return [node["NodeID"] for node in nodes]


def trial_slots(settings: StudySettings, ray: Runtime) -> int:
    """Return how many trials can run at a time.

    Raises:
        ClusterError: Not even one.
    """
    wanted = settings.sweep.resources
    slots = ray.slots(wanted.cpu, wanted.gpu)
    if ray.private and slots == 0:
        raise ClusterError(
            f"sweep.resources: a trial needs {wanted.cpu} CPUs and {wanted.gpu:g} GPUs, this "
            f"machine has {ray.cpus:g} and {ray.gpus:g}; lower them, or join a cluster with "
            "--address"
        )
    return max(min(settings.sweep.max_concurrent or slots, slots), 1)
