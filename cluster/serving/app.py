"""Recommendations over HTTP: one FastAPI application, the same wherever it runs."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Path, Query
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hbpr.data.interactions import UserItems
from hbpr.inference.similar import itself, popularity_penalty, with_penalty
from hbpr.inference.system import RecommendationSystem
from hbpr.inference.top_k import top_k_of
from hbpr.models.recommender import BlockScorer

#: Longest list, and most users in one request.
MAX_K = 1000
MAX_USERS = 1000

Id = int | float | str
ListLength = Annotated[int, Query(ge=1, le=MAX_K, description="Items wanted.")]
_SEEN = "Leave out what the user has in the training data, liked or not."


class ListedItem(BaseModel):
    """One item of a list."""

    item: Id
    score: float
    rank: int = Field(description="From 1.")


class UserList(BaseModel):
    """A user's list, best item first; shorter than k where there are fewer candidates."""

    user: Id
    items: list[ListedItem]


class SimilarList(BaseModel):
    """The items most similar to one, best first."""

    item: Id
    items: list[ListedItem]


class BatchRequest(BaseModel):
    """Lists for several users at once."""

    model_config = ConfigDict(extra="forbid")

    users: list[Id] = Field(min_length=1, max_length=MAX_USERS)
    k: int = Field(10, ge=1, le=MAX_K, description="Items wanted for each.")
    exclude_seen: bool = Field(True, description=_SEEN)


class Health(BaseModel):
    """The answer of a service that can work."""

    status: str


class Info(BaseModel):
    """What is served."""

    dataset: str
    n_users: int
    n_items: int
    metrics: dict[str, float]
    settings: dict[str, Any] = Field(description="What it was trained with.")


class _Ids:
    """The ids of one kind, found by their text: that is what a URL can hold."""

    def __init__(self, kind: str, ids: NDArray[Any]) -> None:
        self.values = ids.tolist()
        self._kind = kind
        self._rows = {str(value): row for row, value in enumerate(self.values)}

    def rows(self, given: Sequence[Id]) -> NDArray[np.int64]:
        """Return the index of each id, or answer 404 with those that are not known."""
        texts = [str(value) for value in given]
        unknown = [text for text in texts if text not in self._rows]
        if unknown:
            named = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
            raise HTTPException(
                404,
                f"unknown {self._kind} {named}: not among the {len(self.values)} {self._kind}s of "
                "the training data",
            )
        return np.array([self._rows[text] for text in texts], np.int64)


def create_app(system: RecommendationSystem) -> FastAPI:
    """Return the application that answers from a trained system.

    Ids in URLs and requests are matched by their text: ``/recommend/42`` finds the user 42 as well
    as the user "42". Vectors are computed here, once; later changes of the model are not seen.
    """
    app = FastAPI(title="hbpr", summary="Recommendations from a trained hbpr model.")
    data = system.data
    users, items = _Ids("user", data.user_ids), _Ids("item", data.item_ids)
    score_users = system.model.block_scorer()
    score_items = system.model.neighbour_scorer()
    seen = system.met
    penalty = popularity_penalty(system.seen, discount=1.0)
    same_item = itself(data.n_items)

    def best(
        scorer: BlockScorer, rows: NDArray[np.int64], k: int, exclude: UserItems | None
    ) -> list[list[ListedItem]]:
        lists, found, scores, ranks = top_k_of(scorer, rows, data.n_items, k, exclude=exclude)
        answer: list[list[ListedItem]] = [[] for _ in rows]
        for place, item, score, rank in zip(
            lists.tolist(), found.tolist(), scores.tolist(), ranks.tolist(), strict=True
        ):
            answer[place].append(ListedItem(item=items.values[item], score=score, rank=rank))
        return answer

    @app.get("/health")
    def health() -> Health:
        """Say that the service can work."""
        return Health(status="ok")

    @app.get("/info")
    def info() -> Info:
        """Describe the model."""
        return Info(
            dataset=data.name,
            n_users=data.n_users,
            n_items=data.n_items,
            metrics=system.metrics,
            settings=system.settings.model_dump(mode="json", exclude={"mlflow"}),
        )

    @app.get("/recommend/{user:path}")
    def recommend(
        user: Annotated[str, Path(description="Id of a user.")],
        k: ListLength = 10,
        exclude_seen: Annotated[bool, Query(description=_SEEN)] = True,
    ) -> UserList:
        """Return a user's best items."""
        rows = users.rows([user])
        (found,) = best(score_users, rows, k, seen if exclude_seen else None)
        return UserList(user=users.values[rows[0]], items=found)

    @app.post("/recommend")
    def recommend_batch(request: BatchRequest) -> list[UserList]:
        """Return the best items of several users, in the order asked."""
        rows = users.rows(request.users)
        found = best(score_users, rows, request.k, seen if request.exclude_seen else None)
        return [
            UserList(user=users.values[row], items=each)
            for row, each in zip(rows, found, strict=True)
        ]

    @app.get("/similar/{item:path}")
    def similar(
        item: Annotated[str, Path(description="Id of an item.")],
        k: ListLength = 10,
        popularity_discount: Annotated[
            float, Query(ge=0, le=2, description="What the most popular item loses in score.")
        ] = 0.0,
    ) -> SimilarList:
        """Return the other items whose vectors point the same way.

        The score is their cosine, less the discount of popular items.
        """
        rows = items.rows([item])
        scorer = score_items
        if popularity_discount:
            scorer = with_penalty(score_items, np.float32(popularity_discount) * penalty)
        (found,) = best(scorer, rows, k, same_item)
        return SimilarList(item=items.values[rows[0]], items=found)

    return app
