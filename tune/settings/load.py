"""From a YAML file and ``--set`` overrides to the plan of a study."""

from collections.abc import Sequence
from pathlib import Path

from hbpr.errors import ConfigError, SpaceError
from hbpr.settings.load import apply_overrides, validate
from hbpr.settings.yaml import Document, load_yaml
from tune.settings.plan import StudyPlan, make_plan
from tune.settings.schema import StudySettings


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> StudyPlan:
    """Read the settings of a study and plan it, which tries its whole space.

    Args:
        path: YAML file with a ``sweep`` section.
        overrides: Such as ``["training.n_iter=5", "sweep.num_trials=3"]``.

    Raises:
        ConfigError: The file, an override or a setting is wrong.
        SpaceError: A dimension is wrong; file, line and dotted key come first.
    """
    document = load_yaml(path)
    if "sweep" not in apply_overrides(document.data, overrides, StudySettings):
        raise ConfigError(
            f"{document.path}: there is no sweep section, so there is nothing to search. Train it "
            f"with `hbpr train {document.path}`, or add one, for example "
            "sweep: {optimizer.lr: [0.01, 0.05]}"
        )
    settings = validate(StudySettings, document, overrides=overrides)
    try:
        return make_plan(settings)
    except SpaceError as error:
        raise with_place(error, document, overrides) from None


def with_place(error: SpaceError, document: Document, overrides: Sequence[str] = ()) -> SpaceError:
    """Return the error of a dimension with file and line, or the override, before it."""
    return SpaceError(f"{_place(document, overrides, str(error))}{error}")


def _place(document: Document, overrides: Sequence[str], message: str) -> str:
    """Return where the dimension that a message starts with was written."""
    key = message.partition(":")[0]
    overridden = {text.partition("=")[0].strip() for text in overrides}
    for name in (f"sweep.space.{key}", f"sweep.{key}", "sweep.space", "sweep"):
        if name in overridden:
            return "--set "
        if name in document.lines:
            return f"{document.path}, line {document.lines[name]}, "
    return f"{document.path}, "
