"""Trained systems as MLflow models: logged, registered and read back.

Every logged model names `hbpr.mlflow_log`, which has `_load_pyfunc`: MLflow calls it to load the
model, so neither can be renamed.
"""

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hbpr.tracking import tags as tag
from hbpr.tracking.fetch import LOADER, fetch_model
from hbpr.tracking.own_wheel import write_wheel
from hbpr.version import __version__

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from hbpr.inference.system import RecommendationSystem

#: Alias of the best version of a registered model.
CHAMPION: Final = "champion"
_SYSTEM_FOLDER: Final = "system"
_WHEELS_FOLDER: Final = "wheels"


def log_system(
    client: "MlflowClient",
    run_id: str,
    system: "RecommendationSystem | str | Path",
    *,
    name: str = "recommender",
) -> str:
    """Log a trained system as the model of a run.

    The model holds the folder that `RecommendationSystem.save` writes (nothing pickled);
    `mlflow.pyfunc.load_model` reads it wherever hbpr is installed. The model's requirements name a
    wheel of the running hbpr that lies beside it, so that no index needs to have it.

    Args:
        client: From `open_client`.
        run_id: The run that made the system.
        system: The system, or the folder it was saved to.
        name: Name of the model.

    Returns:
        The model's URI, ``models:/m-…``, for `load_system` and `mlflow.pyfunc.load_model`.
    """
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    from hbpr.tracking.pyfunc_model import signature_of

    experiment_id = client.get_run(run_id).info.experiment_id
    with tempfile.TemporaryDirectory(prefix="hbpr-model-") as temporary:
        saved = Path(temporary) / _SYSTEM_FOLDER
        if isinstance(system, str | Path):
            saved = Path(system)
        else:
            system.save(saved)
        logged = client.create_logged_model(
            experiment_id, name=name, source_run_id=run_id, model_type="recommender"
        )
        folder, wheels = Path(temporary) / "model", Path(temporary) / _WHEELS_FOLDER
        wheels.mkdir()
        wheel = write_wheel(wheels)
        mlflow.pyfunc.save_model(
            str(folder),
            loader_module=LOADER,
            data_path=str(saved),
            mlflow_model=Model(
                artifact_path=logged.artifact_location,
                run_id=run_id,
                model_uuid=logged.model_id,
                model_id=logged.model_id,
                signature=signature_of(saved),
            ),
            pip_requirements=[
                f"{_WHEELS_FOLDER}/{wheel.name}" if wheel else f"hbpr=={__version__}"
            ],
        )
        wheels.rename(folder / _WHEELS_FOLDER)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return f"models:/{logged.model_id}"


def load_system(
    model_uri: str, tracking_uri: str | None = None, *, allow: Collection[str] = ()
) -> "RecommendationSystem":
    """Read back a system that `log_system` wrote.

    Args:
        model_uri: ``models:/m-…``, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or
            ``runs:/RUN/recommender``.
        tracking_uri: Where it was recorded; default: ``MLFLOW_TRACKING_URI``.
        allow: As for `RecommendationSystem.load`.

    Raises:
        TrackingError: There is no such model, or the store does not answer.
    """
    from hbpr.inference.system import RecommendationSystem

    with tempfile.TemporaryDirectory(prefix="hbpr-model-") as temporary:
        folder, _ = fetch_model(model_uri, Path(temporary), tracking_uri)
        return RecommendationSystem.load(folder, allow=allow)


class Registered(NamedTuple):
    """A version of a registered model.

    Attributes:
        name: Name of the registered model.
        version: This version.
        champion: The version that is the champion: this one, or another; None: none is.
        better: Baselines that rank above this version, which is no champion therefore.
    """

    name: str
    version: str
    champion: str | None
    better: str = ""

    @property
    def uri(self) -> str:
        """The version's URI."""
        return f"models:/{self.name}/{self.version}"


def register_model(
    client: "MlflowClient", name: str, model_uri: str, *, run_id: str, tags: Mapping[str, str]
) -> Registered:
    """Register a logged model; the best one of its kind has the alias ``champion``.

    The alias stays where it is if the champion was judged by the same metric on the same data
    (tags ``hbpr.metric`` and ``hbpr.data``) and has a higher ``hbpr.value``. A version with a tag
    ``hbpr.better``, which names the baselines that rank above it, never gets it.

    Args:
        client: From `open_client`.
        name: Name of the registered model, made where there is none.
        model_uri: What `log_system` returned; registering it again changes nothing.
        run_id: The run that made the model.
        tags: Tags of the version.
    """
    from mlflow.exceptions import MlflowException

    name = re.sub(r"[/:]+", "-", name)
    with contextlib.suppress(MlflowException):  # it exists; else the next call tells
        client.create_registered_model(name)
    model_id = model_uri.split("/")[-1]
    # By the run: a name may hold quotes, for which MLflow's filters have no way to be written.
    for found in client.search_model_versions(f"run_id = '{run_id}'"):
        if found.name == name and found.tags.get(tag.MODEL) == model_uri:
            version = found
            break
    else:
        source = model_uri
        if not str(client.tracking_uri).startswith("http"):
            # A store in this process would look the model up in MLflow's process-wide store.
            source = client.get_logged_model(model_id).artifact_location
        version = client.create_model_version(
            name,
            source=source,
            run_id=run_id,
            tags=dict(tags) | {tag.MODEL: model_uri},
            model_id=model_id,
            await_creation_for=0,  # a client that waits says so on the terminal
        )
    try:
        champion = client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException:
        champion = None
    better = tags.get(tag.BETTER, "")
    if not better and tag.BETTER in version.tags:  # it was registered, and is asked for after all
        client.delete_model_version_tag(name, version.version, tag.BETTER)
    if not better and (champion is None or not _is_better(champion.tags, tags)):
        client.set_registered_model_alias(name, CHAMPION, version.version)
        champion = version
    holder = None if champion is None else str(champion.version)
    return Registered(name, str(version.version), holder, better)


def _is_better(champion: Mapping[str, str], other: Mapping[str, str]) -> bool:
    data = tag.EXAM if tag.EXAM in champion else tag.DATA  # of before: all that training reads
    same = all(champion.get(key) == other.get(key) for key in (tag.METRIC, data))
    return same and float(champion.get(tag.VALUE, "-inf")) > float(other[tag.VALUE])


def content_key(folder: Path) -> str:
    """Return a short text that changes with the files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]
