"""A model from outside: a class of torch, whose arguments are its settings."""

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from pydantic import Field, create_model
from pydantic.errors import PydanticUserError

from hbpr.errors import ConfigError
from hbpr.models.base import FeatureRecommender
from hbpr.settings.own_model import OwnModelSettings

#: What training, evaluation and serving call.
_METHODS: Final = ("score", "vector_scorer", "forward", "batch_scores", "block_scorer")
#: What every model is made of, beside its settings.
_FEATURES: Final = ("user_features", "item_features")
_FORM: Final = "a model is a class that derives from hbpr.models.FeatureRecommender"


def as_model_settings(kind: str, part: Any) -> type[OwnModelSettings]:
    """Return settings of a model, made from the arguments of its class.

    The class takes ``user_features`` and ``item_features``, and after them, by name, its settings:
    each has a default, and an annotation, which may be ``Annotated[int, Field(ge=1)]``. ``seed`` is
    that of the training.

    Args:
        kind: What settings call it.
        part: What was found under that name.

    Raises:
        ConfigError: It is no model, a method of the contract is missing, or its arguments cannot be
            settings.
    """
    _check_class(kind, part)
    taken = inspect.signature(part).parameters
    first = [name for name in taken if name in _FEATURES]
    if first != list(_FEATURES):
        raise ConfigError(
            f"{kind}: {part.__name__} must take user_features and item_features, got "
            f"({', '.join(taken)})"
        )
    hints = _hints(kind, part)
    fields = {
        name: _field(kind, each, hints)
        for name, each in taken.items()
        if name not in (*_FEATURES, "seed")
    }
    document = (inspect.getdoc(part) or part.__name__).partition("\n")[0]
    named: Mapping[str, Any] = {
        "kind": (Literal[kind], Field(kind, description=document)),
        **fields,
    }
    try:
        made = create_model(
            f"{part.__name__}Settings", __base__=OwnModelSettings, __doc__=document, **named
        )
    except (PydanticUserError, NameError, TypeError, RuntimeError) as error:
        raise ConfigError(f"{kind}: its arguments cannot be settings: {error}") from error
    made.own = part
    made.takes = tuple(name for name in taken if name not in _FEATURES)
    return made


def _check_class(kind: str, part: Any) -> None:
    if not inspect.isclass(part):
        raise ConfigError(f"{kind}: {_FORM}, got {type(part).__name__} {part!r:.60}")
    if not issubclass(part, FeatureRecommender):
        missing = [name for name in _METHODS if not callable(getattr(part, name, None))]
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise ConfigError(f"{kind}: {_FORM}, got {part.__name__}, which does not{lacks}")
    missing = sorted(part.__abstractmethods__)
    if missing:
        raise ConfigError(
            f"{kind}: {part.__name__} lacks {', '.join(missing)} of the contract; "
            "hbpr.models.FeatureRecommender says what each does"
        )


def _hints(kind: str, part: type) -> Mapping[str, Any]:
    try:
        return get_type_hints(part.__init__, include_extras=True)  # type: ignore[misc]
    except NameError as error:
        raise ConfigError(f"{kind}: an annotation of its arguments is unknown: {error}") from error


def _field(kind: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return type and default of a setting."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ConfigError(
            f"{kind}: the arguments of a model are its settings, each by name, got "
            f"{parameter}; name them"
        )
    if parameter.default is parameter.empty:
        raise ConfigError(
            f"{kind}: the argument {parameter.name} needs a default: settings may leave it out"
        )
    hint = hints.get(parameter.name, type(parameter.default))
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    # YAML has lists alone, which a strict tuple would refuse
    return hint, Field(parameter.default, strict=False if get_origin(bare) is tuple else None)
