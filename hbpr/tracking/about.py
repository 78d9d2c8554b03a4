"""What a run is judged on, in MLflow: tags to group and filter by, and MLflow's own data inputs."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hbpr.tracking import tags as tag
from hbpr.tracking.records import Exam
from hbpr.version import __version__

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from hbpr.data.interactions import Interactions

#: What MLflow takes as a digest.
_DIGEST: Final = 36


@dataclass(frozen=True)
class About:
    """What runs of the same data have in common.

    Attributes:
        tags: Data, split, fingerprints, numbers of users and items, versions and commit.
        dataset: Name, digest, source, schema and profile of MLflow's input.
    """

    tags: dict[str, str] = field(default_factory=dict)
    dataset: dict[str, str] = field(default_factory=dict)


def about(datasets: "Iterable[Interactions]", versions: Mapping[str, str] | None = None) -> About:
    """Return what to record of data.

    Args:
        datasets: At least one; several differ in their features alone, and compare.
        versions: Version of each library that matters; None: of hbpr alone.
    """
    first, *others = datasets
    counts = {tag.USERS: first.train.n_users, tag.ITEMS: first.train.n_items}
    tags = {
        tag.DATA: first.name,
        tag.SPLIT: first.split,
        tag.EXAM: first.exam,
        **{key: str(n) for key, n in counts.items()},
        tag.VERSIONS: json.dumps(dict(versions or {"hbpr": __version__})),
    }
    if not others:
        tags[tag.FINGERPRINT] = first.fingerprint
    commit = _commit()
    if commit:
        tags[tag.COMMIT] = commit
    n_pairs = {part: getattr(first, part).n_pairs for part in ("train", "validation", "test")}
    return About(
        tags,
        {
            "name": first.name or "data",
            "digest": first.exam[:_DIGEST],
            "source_type": "hbpr",
            "source": json.dumps({"split": first.split}),
            "profile": json.dumps(
                {"users": first.train.n_users, "items": first.train.n_items, **n_pairs}
            ),
        },
    )


def exam_of(data: "Interactions") -> Exam:
    """Return what metrics on some data are measured on."""
    return Exam(data.exam, data.name, data.split, data.train.n_users, data.train.n_items)


def log_dataset(client: "MlflowClient", run_id: str, dataset: Mapping[str, str]) -> None:
    """Tell MLflow which data a run used, so that its pages can filter runs by them."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    tags = [InputTag("mlflow.data.context", "training")]
    client.log_inputs(run_id, [DatasetInput(Dataset(**dataset), tags)])


@cache
def _commit() -> str | None:
    """Return the commit that this code is of, ``+`` where it was changed; None outside of git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None
