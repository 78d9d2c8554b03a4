"""A trained model with the ids and interactions it takes to recommend, save and load it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.data.ids import Lookup
from hbpr.data.interactions import Interactions, UserItems
from hbpr.errors import ConfigError, DataError
from hbpr.evaluation import evaluate_part
from hbpr.evaluation.page_shares import page_shares
from hbpr.inference import saving
from hbpr.inference.cold_start import with_items
from hbpr.inference.described import Labels
from hbpr.inference.new_users import list_of_vector, vector_of_features, vector_of_history
from hbpr.inference.similar import neighbours_of, popularity_penalty
from hbpr.inference.top_k import Lists, top_k_of
from hbpr.models import Recommender, build_model
from hbpr.names import Part
from hbpr.settings.models import TrialSettings

#: Pairs that `predict` scores at a time.
_PREDICT_ROWS: Final = 2**17


class RecommendationSystem:
    """Recommend items to users, all by their own ids.

    Args:
        model: The trained model.
        data: The data it was trained on: ids, features, and what each user has seen.
        settings: The settings it was trained with.
        metrics: Metrics to keep beside it, by full name.

    Attributes:
        model: As given, in evaluation mode.
        data: As given.
        settings: As given.
        metrics: As given; metrics may be added.

    Raises:
        DataError: The model is for another number of users or items.

    Example:
        >>> from hbpr.data import load_data
        >>> from hbpr.settings.models import DataSettings
        >>> settings = TrialSettings(data=DataSettings(source="synthetic"))
        >>> data = load_data(settings.data)
        >>> system = RecommendationSystem(build_model(settings.model, data), data, settings)
        >>> system.recommend(data.user_ids[:2], k=3).shape
        (6, 4)
    """

    def __init__(
        self,
        model: Recommender,
        data: Interactions,
        settings: TrialSettings,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        if (model.n_users, model.n_items) != (data.n_users, data.n_items):
            raise DataError(
                f"RecommendationSystem: the model is for {model.n_users} users x {model.n_items} "
                f"items, the data have {data.n_users} x {data.n_items}"
            )
        self.model = model.eval()
        self.data = data
        self.settings = settings
        self.metrics: dict[str, float] = dict(metrics or {})

    def __repr__(self) -> str:
        monitor = self.settings.training.monitor
        shown = [m for m in (monitor, monitor.replace("val/", "test/")) if m in self.metrics]
        return (
            f"RecommendationSystem({self.data.name}: {self.data.n_users} users, "
            f"{self.data.n_items} items, {self.settings.model.kind}"
            + (f" d={size}" if (size := getattr(self.settings.model, "n_latent", None)) else "")
            + "".join(f", {name} {self.metrics[name]:.4f}" for name in shown)
            + ")"
        )

    @cached_property
    def seen(self) -> UserItems:
        """(U, I) positives of train and validation: known tastes."""
        return self.data.seen()

    @cached_property
    def met(self) -> UserItems:
        """(U, I) what users are known to have seen, liked or not: a list leaves it out."""
        return self.data.met()

    def recommend(
        self, users: Iterable[Any] | None = None, k: int = 10, *, exclude_seen: bool = True
    ) -> pd.DataFrame:
        """Return the best items for each user.

        Args:
            users: Ids of users, each as often as its list is wanted; None: everyone.
            k: Length of a list; shorter where a user has fewer candidates.
            exclude_seen: Leave out what the user has `met`, observed negatives included.

        Returns:
            Columns ``user``, ``item``, ``score`` (float32) and ``rank`` (from 1); users in the
            order given, best item first, equal scores in catalogue order.

        Raises:
            DataError: An id is unknown.
            ConfigError: `k` is below 1.
            DivergedError: A score is not a finite number.
        """
        _check_k("recommend", k)
        rows = (
            np.arange(self.data.n_users) if users is None else self._users.rows(users, "recommend")
        )
        seen = self.met if exclude_seen else None
        scorer = self.model.block_scorer()
        lists, items, scores, ranks = top_k_of(scorer, rows, self.data.n_items, k, exclude=seen)
        return pd.DataFrame(
            {
                "user": self.data.user_ids[rows[lists]],
                "item": self.data.item_ids[items],
                "score": scores,
                "rank": ranks,
            }
        )

    def recommend_for_features(self, user_features: Labels, k: int = 10) -> pd.DataFrame:
        """Return the best items for a user who is not in the data, from features alone.

        Args:
            user_features: Names of features (`Interactions.user_feature_names`), or names with
                weights.
            k: Length of the list.

        Returns:
            Columns ``item``, ``score`` (float32) and ``rank`` (from 1).

        Raises:
            DataError: A feature is unknown, there is none, or the data have no named features.
            ConfigError: `k` is below 1.
        """
        _check_k("recommend_for_features", k)
        vector = vector_of_features("recommend_for_features", self.model, self.data, user_features)
        return self._list(vector, k, None)

    def recommend_for_history(
        self,
        items: Iterable[Any],
        k: int = 10,
        *,
        user_features: Labels | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """Return the best items for a user who is not in the data, from items the user likes.

        The user's vector is fitted to them by `hbpr.inference.fold_in.fold_in`, or solved for as in
        training by a model that is solved; the model stays as it is.

        Args:
            items: Ids of items, at least one; a repeated one counts once.
            k: Length of the list.
            user_features: Also start from these features, as in `recommend_for_features`.
            exclude_seen: Leave `items` out of the list.

        Returns:
            Columns ``item``, ``score`` (float32) and ``rank`` (from 1).

        Raises:
            DataError: There is no item, or an id or feature is unknown.
            ConfigError: `k` is below 1.
        """
        place = "recommend_for_history"
        _check_k(place, k)
        rows = np.unique(self._items.rows(items, place))
        if len(rows) == 0:
            raise DataError(f"{place}: at least one item is needed, got none")
        prior = None
        if user_features is not None:
            prior = vector_of_features(place, self.model, self.data, user_features)
        vector = vector_of_history(self.model, self.data, self.settings, rows, prior)
        return self._list(vector, k, rows if exclude_seen else None)

    def with_items(self, items: Mapping[Any, Labels]) -> Self:
        """Return a system that also knows new items, scored from their features alone.

        Args:
            items: Names of features (`Interactions.item_feature_names`), or names with weights,
                by the new items' ids.

        Raises:
            DataError: An id is in the data already, or a feature is unknown.
        """
        if not self.model.uses_features:
            raise DataError(
                f"with_items: model.kind {self.settings.model.kind} scores items by who chose "
                "them, not by features; train model.kind mf with data.item_feature to score new "
                "ones"
            )
        data = with_items(self.data, items)
        model = build_model(self.settings.model, data, seed=self.settings.training.seed)
        model.load_arrays(self.model.arrays())
        return type(self)(model, data, self.settings, self.metrics)

    def _list(
        self, vector: NDArray[np.float32], k: int, seen: NDArray[np.int64] | None
    ) -> pd.DataFrame:
        """Best items for one user vector."""
        found = list_of_vector(self.model, vector, k, seen)
        ids = self.data.item_ids[found.items]
        return pd.DataFrame({"item": ids, "score": found.scores, "rank": found.ranks})

    def similar_items(
        self,
        items: Iterable[Any] | None = None,
        k: int = 10,
        *,
        popularity_discount: float = 0.0,
    ) -> pd.DataFrame:
        """Return the most similar other items: by cosine of the item vectors, biases left out.

        EASE has no vectors shorter than the catalogue; its items are alike by partial correlation.

        Args:
            items: Ids of items; None: the whole catalogue.
            k: Length of a list.
            popularity_discount: What the most popular item loses in score, others in proportion
                to the log of their users, see `hbpr.inference.similar.popularity_penalty`.

        Returns:
            Columns ``item``, ``similar_item``, ``score`` (float32 cosine, less the discount; the
            cosine is 0 beside an item without features) and ``rank`` (from 1).

        Raises:
            DataError: An id is unknown.
            ConfigError: `k` is below 1, or the discount below 0.
            DivergedError: A vector holds a value that is not a finite number.
        """
        _check_k("similar_items", k)
        rows = (
            np.arange(self.data.n_items)
            if items is None
            else self._items.rows(items, "similar_items")
        )
        lists, found, scores, ranks = self._neighbours(rows, k, popularity_discount)
        return pd.DataFrame(
            {
                "item": self.data.item_ids[rows[lists]],
                "similar_item": self.data.item_ids[found],
                "score": scores,
                "rank": ranks,
            }
        )

    def _neighbours(self, rows: NDArray[np.int64], k: int, popularity_discount: float) -> Lists:
        """Lists for item rows, the items themselves left out."""
        penalty = popularity_penalty(self.seen, discount=popularity_discount)
        scorer = self.model.neighbour_scorer()
        return neighbours_of(
            scorer, rows, self.data.n_items, k, penalty if popularity_discount else None
        )

    def predict(self, users: Iterable[Any], items: Iterable[Any]) -> NDArray[np.float32]:
        """Score pairs of user and item.

        Args:
            users: (n,) ids.
            items: (n,) ids.

        Returns:
            (n,) float32 scores; only their order within a user means something.

        Raises:
            DataError: An id is unknown, or the lengths differ.
        """
        user_rows = self._users.rows(users, "predict")
        item_rows = self._items.rows(items, "predict")
        if len(user_rows) != len(item_rows):
            raise DataError(
                f"predict: one item for each user is needed, got {len(user_rows)} users and "
                f"{len(item_rows)} items"
            )
        scores = np.empty(len(user_rows), np.float32)
        score = self.model.pair_scorer()
        for start in range(0, len(scores), _PREDICT_ROWS):
            part = slice(start, start + _PREDICT_ROWS)
            scores[part] = score(user_rows[part], item_rows[part])
        return scores

    def evaluate(
        self,
        part: Part = "test",
        top_k: Sequence[int] | None = None,
        metrics: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Score the ranking of the candidates that the data name against a held-out part.

        Where the data have pages, `evaluate_pages` is added.

        Args:
            part: ``test`` (never ranked: train and validation) or ``val`` (never ranked: train).
            top_k: Lengths of lists; None: ``training.top_k`` of the settings.
            metrics: Metrics of the recommended lists to add, such as ``["coverage", "gini"]``;
                None: ``training.metrics`` of the settings.

        Returns:
            Metrics by full name.

        Raises:
            ConfigError: A name or a length is wrong.
            DataError: The part is empty, or nothing describes items and a metric needs it.
        """
        if part not in ("val", "test"):
            raise ConfigError(f"evaluate: part must be val or test, got {part!r}")
        lengths = self.settings.training.top_k if top_k is None else top_k
        names = self.settings.training.metrics if metrics is None else metrics
        found = evaluate_part(self.model, self.data, part, lengths, names)
        return found.metrics | self.evaluate_pages(part, lengths)

    def evaluate_pages(self, part: Part, top_k: Sequence[int]) -> dict[str, float]:
        """Say how many of the items' neighbours are there by the same pages; lower is better.

        Judged are the `similar_items` of every item that is on a page.

        Args:
            part: Positives up to this part say what was chosen on a page.
            top_k: Numbers of neighbours of an item.

        Returns:
            Shares by full name, see `hbpr.evaluation.page_shares`; empty if the data have no pages.
        """
        pages = self.data.pages
        if pages is None:
            return {}
        known = self.seen.union(self.data.test) if part == "test" else self.seen
        rows = np.unique(pages.shown.items).astype(np.int64)
        lists, found, _, ranks = self._neighbours(rows, max(top_k), 0.0)
        return page_shares(
            rows[lists],
            found,
            ranks,
            shown=pages.shown,
            chosen=pages.chosen(known),
            part=part,
            top_k=top_k,
        )

    def save(self, folder: Path | str) -> None:
        """Write the system into a folder, all at once; a system saved there before is replaced.

        The address of the MLflow server is not written: it may hold a password.

        Raises:
            DataError: Ids are not integers, floats or strings, the settings do not describe the
                model, or the folder holds something else.
        """
        saving.save(Path(folder), saving.Saved(self.model, self.data, self.settings, self.metrics))

    @classmethod
    def load(cls, folder: Path | str, *, allow: Collection[str] = ()) -> Self:
        """Read what `save` wrote.

        Args:
            folder: That folder, or the folder of a study, whose winner is taken.
            allow: Parts that are not hbpr's own, such as the class of the model, that may be
                imported: dotted paths, or modules.

        Raises:
            DataError: The folder holds no whole saved recommender, or one of another version.
        """
        folder = Path(folder)
        model = folder / "model" if (folder / "model").is_dir() else folder
        return cls(*saving.load(model, allow=allow))

    @cached_property
    def _users(self) -> Lookup:
        return Lookup("user", self.data.user_ids, self.data.name)

    @cached_property
    def _items(self) -> Lookup:
        return Lookup("item", self.data.item_ids, self.data.name)


def _check_k(place: str, k: int) -> None:
    if k < 1:
        raise ConfigError(f"{place}: k must be at least 1, got {k}")
