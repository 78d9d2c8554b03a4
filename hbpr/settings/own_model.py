"""Settings of a model from outside; `hbpr.contracts.model` makes a class for each."""

from collections.abc import Callable
from typing import Any, ClassVar

from hbpr.settings.model import MODELS, ModelSettings


class OwnModelSettings(ModelSettings):
    """Settings of a model that is not hbpr's own.

    A pickle holds the kind and the values: whoever reads it finds the class by its path.

    Attributes:
        own: The model's class.
        takes: Names of what its class takes beside features.
    """

    own: ClassVar[Callable[..., Any]]
    takes: ClassVar[tuple[str, ...]] = ()

    def build(self, user_features: Any, item_features: Any, seed: int) -> Any:
        """Return the model with its first weights."""
        values = {name: getattr(self, name) for name in self.takes if name != "seed"}
        if "seed" in self.takes:
            values["seed"] = seed
        return type(self).own(user_features, item_features, **values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.model_dump(),)


def _again(values: dict[str, Any]) -> ModelSettings:
    return MODELS.validate(values)
