"""Settings of the model: one class for each kind.

Kinds of one family share a class: `LatentSettings` are trained along gradients, by the sections
``optimizer`` and ``training``; `SolvedSettings` are solved for, and read next to none of these.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from hbpr.settings.base import Settings
from hbpr.settings.kinds import Kinds


class ModelSettings(Settings):
    """What every model has; each kind has a class of its own in `MODELS`."""

    kind: str = Field(
        description="mf: hybrid matrix factorization; neumf: it, beside a small network; ease: "
        "item-to-item weights in closed form; ials: matrix factorization by least squares; or "
        "module:Class, a model of your own.",
    )

    #: Whether equations are solved, instead of many small steps along gradients.
    solved: ClassVar[bool] = False
    #: What to change where training diverges.
    if_diverged: ClassVar[str] = "lower optimizer.lr or model.init_std, or raise the regularisation"
    #: Whether ``training.seed`` changes the result.
    seeded: ClassVar[bool] = True
    #: Whether weights of interactions change it.
    weighted: ClassVar[bool] = True

    @classmethod
    def epochs(cls, values: Mapping[str, Any], n_iter: int) -> int:
        """Return the most epochs of a training.

        Args:
            values: Settings of a model of this kind; what is left out has its default.
            n_iter: ``training.n_iter``.
        """
        return n_iter


class LatentSettings(ModelSettings):
    """Vectors of features, trained along gradients."""

    n_latent: int = Field(
        64, ge=1, le=4096, description="Size of the latent vectors; neumf: of the GMF tower's."
    )
    item_bias: bool = Field(True, description="Learn a bias for every item feature.")
    init_std: float = Field(0.1, gt=0.0, le=10.0, description="Deviation of the first weights.")


class MfSettings(LatentSettings):
    """Hybrid matrix factorization."""

    kind: Literal["mf"] = Field("mf", description="Hybrid matrix factorization.")
    similarity: Literal["dot", "cosine"] = Field(
        "dot", description="Score by the inner product, or by the cosine: lengths do not count."
    )
    temperature: float | None = Field(
        None,
        gt=0.0,
        le=100.0,
        description="Divides the products; left out: 1 with dot, 0.05 to 0.2 "
        "with cosine, by how widely positives are shared.",
    )


class NeuMFSettings(LatentSettings):
    """Neural matrix factorization."""

    kind: Literal["neumf"] = Field(
        "neumf", description="Hybrid matrix factorization beside a small network."
    )
    n_latent_mlp: int = Field(32, ge=1, le=4096, description="Size of the MLP tower's vectors.")
    hidden: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        (64, 32), strict=False, min_length=1, description="Widths of the hidden layers."
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of hidden activations dropped in training."
    )
    pretrain_epochs: int = Field(
        0, ge=0, le=100_000, description="Epochs that train each tower alone first."
    )


class SolvedSettings(ModelSettings):
    """What is solved for from interactions alone; optimizer, loss and negatives are not read."""

    solved: ClassVar[bool] = True
    if_diverged: ClassVar[str] = "raise the regularisation of the section model"


class EaseSettings(SolvedSettings):
    """EASE, an item-to-item model in closed form."""

    kind: Literal["ease"] = Field("ease", description="Item-to-item weights in closed form.")
    regularisation: float = Field(
        500.0,
        gt=0.0,
        le=1e9,
        description="L2 of the item weights; good values grow with the users, 10 to 2000.",
    )
    memory_mib: int = Field(
        16_384, ge=1, le=2**30, description="Most memory of the solution: 16 bytes x items^2."
    )

    seeded: ClassVar[bool] = False
    weighted: ClassVar[bool] = False
    if_diverged: ClassVar[str] = "raise model.regularisation"

    @classmethod
    def epochs(cls, values: Mapping[str, Any], n_iter: int) -> int:
        """One: the solution is exact."""
        return 1


class IalsSettings(SolvedSettings):
    """Matrix factorization of all cells, observed or not, by alternating least squares."""

    kind: Literal["ials"] = Field("ials", description="Matrix factorization by least squares.")
    n_latent: int = Field(64, ge=1, le=4096, description="Size of the latent vectors.")
    iterations: int = Field(
        16, ge=1, le=10_000, description="Passes over users and items; each is evaluated."
    )
    unobserved_weight: float = Field(
        0.1, gt=0.0, le=1e3, description="Weight of every cell; a positive counts 1 more."
    )
    scaled_l2: float = Field(
        0.02,
        gt=0.0,
        le=1e3,
        description="L2 of a vector, times (positives + unobserved_weight * cells)^l2_exponent.",
    )
    l2_exponent: float = Field(
        1.0, ge=0.0, le=2.0, description="How L2 grows with the positives; 0: the same for all."
    )
    block: int = Field(
        64,
        ge=1,
        le=4096,
        description="Numbers of a vector solved for at once; from n_latent on: all, exactly.",
    )

    if_diverged: ClassVar[str] = "raise model.scaled_l2"

    @classmethod
    def epochs(cls, values: Mapping[str, Any], n_iter: int) -> int:
        """Return the iterations."""
        return int(values.get("iterations", cls.model_fields["iterations"].default))


#: Of ``training``, what models that are solved for do look at.
_READ: Final = ("seed", "top_k", "monitor", "early_stopping_patience", "threads")


def read_by_solved(key: str) -> bool:
    """Whether a model that is solved for looks at a setting outside of its own section.

    Example:
        >>> read_by_solved("optimizer.lr"), read_by_solved("training.seed")
        (False, True)
    """
    section, _, name = key.partition(".")
    if section == "training":
        return name in _READ
    return section != "optimizer" and key not in ("data.user_feature", "data.item_feature")


#: The kinds of `ModelSettings`.
MODELS = Kinds(
    ModelSettings,
    MfSettings,
    NeuMFSettings,
    EaseSettings,
    IalsSettings,
    adapt="hbpr.contracts.model:as_model_settings",
    group="models",
)
