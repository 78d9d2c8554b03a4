"""What the endpoint is asked and what it answers: the OpenAPI description is made of these."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from hbpr.inference.options import ListOptions

#: Longest list; users of one request, and among them new ones, who cost more; items of a history.
MAX_K: Final = 1000
MAX_USERS: Final = 1000
MAX_NEW_USERS: Final = 50
MAX_HISTORY: Final = 1000
MAX_FILTER: Final = 10_000
_INT64: Final = 2**63

#: JSON has no numbers of its own that are not finite, though some writers send them.
Id = (
    Annotated[StrictInt, Field(ge=-_INT64, lt=_INT64)]
    | Annotated[StrictFloat, Field(allow_inf_nan=False)]
    | Annotated[StrictStr, Field(max_length=500)]
)
Feature = Annotated[StrictStr, Field(max_length=500)]
K = Annotated[int, Field(ge=1, le=MAX_K, description="Items wanted; fewer where there are none.")]
_SEEN: Final = "Leave out what the user has in the training data, liked or not, or in the history."
_STRICT: Final = ConfigDict(extra="forbid")


class Choice(BaseModel):
    """How a list is chosen."""

    model_config = _STRICT

    k: K = 10
    exclude_seen: bool = Field(True, description=_SEEN)
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="How much likeness to what stands above counts against the score (MMR).",
    )
    popularity_discount: float = Field(
        0.0,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="What the most popular item loses, in standard deviations of the scores.",
    )


class ListQuery(Choice):
    """Parameters of a user's list."""

    def options(self) -> ListOptions:
        """Return them as the model takes them."""
        return ListOptions(
            k=self.k,
            exclude_seen=self.exclude_seen,
            diversity=self.diversity,
            popularity_discount=self.popularity_discount,
        )


class SimilarQuery(BaseModel):
    """Parameters of a list of neighbours."""

    model_config = _STRICT

    k: K = 10
    popularity_discount: float = Field(
        0.0,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="What the most popular item loses in likeness.",
    )


class LengthQuery(BaseModel):
    """How many are wanted."""

    model_config = _STRICT

    k: K = 10


class SearchQuery(LengthQuery):
    """What to look for among the items."""

    text: str = Field(
        min_length=1, max_length=200, description="Part of a name or an id, in any case."
    )


class NewUser(BaseModel):
    """Somebody whom the training data do not know."""

    model_config = _STRICT

    history: list[Id] | None = Field(
        None, min_length=1, max_length=MAX_HISTORY, description="Ids of items that were chosen."
    )
    features: list[Feature] | None = Field(
        None, min_length=1, max_length=100, description="Names of features of users."
    )


class RecommendRequest(Choice):
    """Lists for one or several users."""

    users: list[Id | NewUser] = Field(
        min_length=1,
        max_length=MAX_USERS,
        description="Ids of known users, or new ones by history, features or both "
        f"(at most {MAX_NEW_USERS}).",
    )
    allow_items: list[Id] | None = Field(
        None, max_length=MAX_FILTER, description="Only these items may be listed."
    )
    deny_items: list[Id] = Field(
        [], max_length=MAX_FILTER, description="These may not; ids that are not known do no harm."
    )
    item_features: list[Feature] = Field(
        [], max_length=100, description="Only items with one of these features may be listed."
    )

    def options(self) -> ListOptions:
        """Return the choice as the model takes it."""
        chosen = self.model_dump(exclude={"users"})
        return ListOptions(**chosen)


class ListedItem(BaseModel):
    """One item of a list."""

    item: int | float | str
    name: str | None = Field(None, description="What people call it, if the model knows.")
    score: float
    rank: int = Field(description="From 1.")


class UserList(BaseModel):
    """A user's list, best item first, or why there is none."""

    user: int | float | str | None = Field(None, description="Id; none for a new user.")
    items: list[ListedItem] | None = None
    error: str | None = None


class SimilarList(BaseModel):
    """The items most similar to one, best first."""

    item: int | float | str
    name: str | None = None
    items: list[ListedItem]


class KnownItem(BaseModel):
    """An item and what people call it."""

    item: int | float | str
    name: str | None = None


class History(BaseModel):
    """What a user chose in the training data."""

    user: int | float | str
    n_items: int = Field(description="Items chosen; of many, those that the model expects most.")
    items: list[KnownItem]


class ItemsFound(BaseModel):
    """Items whose name or id holds a text."""

    items: list[KnownItem]


class State(BaseModel):
    """Whether the service can work, and with which model."""

    status: str
    model: str | None = Field(None, description="Version of the model.")


class Info(BaseModel):
    """What is served."""

    dataset: str
    model: str = Field(description="Version of the model.")
    n_users: int
    n_items: int
    user_features: list[str] = Field(description="Names for new users; the first hundred.")
    item_features: list[str] = Field(description="Names for filters; the first hundred.")
    metrics: dict[str, float]
    settings: dict[str, Any] = Field(description="What it was trained with.")


class Problem(BaseModel):
    """Why a request is refused."""

    detail: str
