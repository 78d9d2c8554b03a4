"""Models in MLflow, found by their URI and brought to a folder of this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from hbpr.errors import TrackingError
from hbpr.tracking.store import default_tracking_uri, first_line, mask_uri, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: The module that models logged by hbpr name as their loader.
LOADER: Final = "hbpr.mlflow_log"


def fetch_model(model_uri: str, into: Path, tracking_uri: str | None = None) -> tuple[Path, str]:
    """Bring what `hbpr.tracking.registry.log_system` logged to this machine.

    Args:
        model_uri: ``models:/m-…``, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``runs:/RUN``
            or ``runs:/RUN/recommender``.
        into: A folder that receives the files.
        tracking_uri: Where it was recorded; default: ``MLFLOW_TRACKING_URI``.

    Returns:
        The saved recommender's folder, and where the model is kept: another text once the URI
        means another model.

    Raises:
        TrackingError: There is no such model, it is no recommender, or the store does not answer.
    """
    uri = default_tracking_uri() if tracking_uri is None else tracking_uri
    client = open_client(uri, create=False)
    import mlflow.artifacts
    import yaml
    from mlflow.exceptions import MlflowException

    try:
        location = _location(client, model_uri)
        folder = Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=location, dst_path=str(into), tracking_uri=uri
            )
        )
        described = yaml.safe_load((folder / "MLmodel").read_text())
        flavor = described["flavors"]["python_function"]
        loader, data = flavor["loader_module"], folder / flavor["data"]
    except (MlflowException, OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise TrackingError(
            f"no model {model_uri} in MLflow at {mask_uri(uri)}: {first_line(error)}"
        ) from error
    if loader != LOADER:
        raise TrackingError(f"model {model_uri} was not logged by hbpr")
    if not data.resolve().is_relative_to(folder.resolve()):
        raise TrackingError(
            f"model {model_uri} names files outside of its folder: {flavor['data']}"
        )
    return data, location


def model_location(model_uri: str, tracking_uri: str | None = None) -> str:
    """Return where a model is kept: another text once the URI means another model.

    Raises:
        TrackingError: There is no such model, or the store does not answer.
    """
    uri = default_tracking_uri() if tracking_uri is None else tracking_uri
    client = open_client(uri, create=False)
    from mlflow.exceptions import MlflowException

    try:
        return _location(client, model_uri)
    except MlflowException as error:
        raise TrackingError(
            f"no model {model_uri} in MLflow at {mask_uri(uri)}: {first_line(error)}"
        ) from error


def _location(client: "MlflowClient", model_uri: str) -> str:
    """Return where a model's files are; a registered version names another URI as its source.

    MLflow's own resolving of ``models:/`` looks in the process-wide tracking store, whatever
    tracking URI it is given.
    """
    scheme, _, rest = model_uri.partition(":/")
    if scheme == "models":
        if "@" in rest:
            version = client.get_model_version_by_alias(*rest.split("@", 1))
            return _location(client, str(version.source))
        if "/" in rest:
            version = client.get_model_version(*rest.split("/", 1))
            return _location(client, str(version.source))
        return str(client.get_logged_model(rest).artifact_location)
    if scheme == "runs":
        run_id, _, name = rest.partition("/")
        outputs = client.get_run(run_id).outputs
        for output in outputs.model_outputs if outputs else []:
            model = client.get_logged_model(output.model_id)
            if name in ("", model.name):
                return str(model.artifact_location)
    return model_uri
