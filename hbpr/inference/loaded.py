"""A trained model that answers: lists for users known, described or given by what they chose.

It holds what answers need and nothing of training, so a factorization takes neither torch nor
pandas and is there in a fraction of a second. `hbpr.inference.load` finds one by any name;
`hbpr.inference.system.RecommendationSystem` is the one to evaluate or to train on.

Shapes: U users, I items, n lists.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from hbpr.data.interactions import Features, UserItems
from hbpr.errors import DataError
from hbpr.inference.described import Labels, features_of
from hbpr.inference.diversity import diversify, pool_size
from hbpr.inference.filters import PreparedOptions, candidates_of
from hbpr.inference.folder import checksum_of, read_folder
from hbpr.inference.forms import loader_of
from hbpr.inference.forms.form import Form, Source
from hbpr.inference.options import ListOptions, Someone
from hbpr.inference.packing import part_of, reading, settings_of, unpack
from hbpr.inference.similar import neighbours_of, popularity_penalty
from hbpr.inference.text_ids import TextIds
from hbpr.inference.top_k import BlockScorer, Lists, top_k_of
from hbpr.settings.models import TrialSettings

if TYPE_CHECKING:
    import pandas as pd

_ONE = np.zeros(1, np.int64)


@dataclass(frozen=True)
class LoadedModel:
    """A model loaded to recommend with.

    Ids are matched by their text: 42 and "42" are the same user.

    Attributes:
        name: Name of the dataset.
        version: A short text that changes with the model.
        form: What scores.
        users: Ids of the users.
        items: Ids of the items.
        item_names: (I,) titles, or empty.
        item_features: (I, Q) features of the items.
        user_feature_names: Names of what is known of users.
        item_feature_names: Names of what is known of items.
        liked: (U, I) positives that the model was trained on.
        met: (U, I) what users are known to have seen, liked or not.
        settings: What it was trained with.
        metrics: What was measured, by full name.
    """

    name: str
    version: str
    form: Form = field(repr=False)
    users: TextIds = field(repr=False)
    items: TextIds = field(repr=False)
    item_names: Sequence[str] = field(repr=False)
    item_features: Features = field(repr=False)
    user_feature_names: Sequence[str] = field(repr=False)
    item_feature_names: Sequence[str] = field(repr=False)
    liked: UserItems = field(repr=False)
    met: UserItems = field(repr=False)
    settings: TrialSettings = field(repr=False)
    metrics: Mapping[str, float]

    @classmethod
    def read(cls, folder: Path, *, allow: Collection[str] = ()) -> Self:
        """Read the folder of a saved recommender, see `hbpr.inference.load`."""
        arrays, about = read_folder(folder)
        with reading(folder):
            settings = settings_of(about, allow)
            data = unpack(arrays, about["data"])
            source = Source(part_of(arrays, "model"), data, settings)
            form = loader_of(settings.model.kind)(source)
            return cls(
                name=data.name,
                version=checksum_of(about),
                form=form,
                users=TextIds("user", data.user_ids),
                items=TextIds("item", data.item_ids),
                item_names=data.item_names,
                item_features=data.item_features,
                user_feature_names=data.user_feature_names,
                item_feature_names=data.item_feature_names,
                liked=data.seen(),
                met=data.met(),
                settings=settings,
                metrics=dict(about["metrics"]),
            )

    @property
    def n_users(self) -> int:
        """Number of users, U."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items, I."""
        return len(self.items)

    @cached_property
    def popularity(self) -> NDArray[np.float32]:
        """(I,) log of the users of each item, from 0 to 1 for the most popular one."""
        return popularity_penalty(self.liked, discount=1.0)

    # ---- by index: what batches and the endpoint use

    def prepare(self, options: ListOptions) -> PreparedOptions:
        """Look up what options name, once for however many lists.

        Raises:
            DataError: An allowed item or a feature of items is not known.
        """
        names = self.item_feature_names
        found = candidates_of(options, self.items, self.item_features, names)
        return PreparedOptions(options, found)

    def lists(self, rows: NDArray[np.int64], options: ListOptions | PreparedOptions) -> Lists:
        """Return the lists of (n,) known users, by index."""
        prepared = self._prepared(options)
        seen = self.met if prepared.options.exclude_seen else None
        return self._choose(self.form.score_users, rows, prepared, seen)

    def list_for(self, someone: Someone, options: ListOptions | PreparedOptions) -> Lists:
        """Return the list of one user, known or new.

        Raises:
            DataError: An id or a feature is not known, there is no item in a history, or it is not
                said who the user is, or said twice.
        """
        if someone.user is not None:
            if someone.history is not None or someone.features is not None:
                raise DataError("a user is named by id, or by history and features, not by both")
            return self.lists(self.users.known([someone.user], "user"), options)
        if someone.features is None and someone.history is None:
            raise DataError("a user must be named by id, history or features; none was given")
        features = None
        if someone.features is not None:
            features = features_of("features", [someone.features], self.user_feature_names)
        if someone.history is None:
            assert features is not None
            return self._of_scores(self.form.score_features(features), options, None)
        items = np.unique(self.items.known(someone.history, "history"))
        if len(items) == 0:
            raise DataError("history: at least one item is needed, got none")
        return self._of_scores(self.form.score_history(items, features), options, items)

    def similar_item_lists(
        self, rows: NDArray[np.int64], k: int, popularity_discount: float = 0.0
    ) -> Lists:
        """Return the other items most like (n,) items, by index."""
        penalty = np.float32(popularity_discount) * self.popularity if popularity_discount else None
        return neighbours_of(self._item_likeness, rows, self.n_items, k, penalty)

    def similar_user_lists(self, rows: NDArray[np.int64], k: int) -> Lists:
        """Return the other users most like (n,) users, by index; `items` are users here."""
        return neighbours_of(self._user_likeness, rows, self.n_users, k)

    def history(self, row: int) -> NDArray[np.int32]:
        """Items that a known user chose, by index, what the model expects most first."""
        chosen = self.liked.of(row)
        scores = self.form.score_users(np.array([row]))[0, chosen]
        return chosen[np.argsort(-scores, kind="stable")]

    def called(self, item: int) -> str:
        """What people call an item, by index; empty if that is not known."""
        return self.item_names[item] if self.item_names else ""

    # ---- by id, as data frames

    def recommend(
        self, users: Iterable[Any] | None = None, k: int = 10, **options: Any
    ) -> "pd.DataFrame":
        """Return the best items for each user.

        Args:
            users: Ids, each as often as its list is wanted; None: everyone.
            k: Length of a list.
            **options: As of `ListOptions`.

        Returns:
            Columns ``user``, ``item``, ``score`` (float32), ``rank`` (from 1) and, if the model
            knows names of items, ``item_name``; users in the order given, best item first.

        Raises:
            DataError: An id is not known.
            ConfigError: An option is outside of its range.
        """
        rows = np.arange(self.n_users) if users is None else self.users.known(users, "recommend")
        found = self.lists(rows, ListOptions(k=k, **options))
        return self._frame(found, "item", self.items, user=self.users.take(rows[found.lists]))

    def recommend_for_features(
        self, user_features: Labels, k: int = 10, **options: Any
    ) -> "pd.DataFrame":
        """Return the best items for a new user, from features alone; as `recommend`, of one.

        Raises:
            DataError: A feature is not known, or there is none.
        """
        found = self.list_for(Someone(features=user_features), ListOptions(k=k, **options))
        return self._frame(found, "item", self.items)

    def recommend_for_history(
        self,
        items: Iterable[Any],
        k: int = 10,
        *,
        user_features: Labels | None = None,
        **options: Any,
    ) -> "pd.DataFrame":
        """Return the best items for a new user, from items the user chose; as `recommend`, of one.

        Raises:
            DataError: An id or feature is not known, or there is no item.
        """
        someone = Someone(history=list(items), features=user_features)
        return self._frame(self.list_for(someone, ListOptions(k=k, **options)), "item", self.items)

    def similar_items(
        self,
        items: Iterable[Any] | None = None,
        k: int = 10,
        *,
        popularity_discount: float = 0.0,
    ) -> "pd.DataFrame":
        """Return the most similar other items of each item; None: of the whole catalogue.

        Returns:
            Columns ``item``, ``similar_item``, ``score``, ``rank``, and ``similar_item_name`` if
            the model knows names.

        Raises:
            DataError: An id is not known.
            ConfigError: `k` is below 1, or the discount below 0.
        """
        ListOptions(k=k, popularity_discount=popularity_discount)
        rows = np.arange(self.n_items) if items is None else self.items.known(items, "similar")
        found = self.similar_item_lists(rows, k, popularity_discount)
        return self._frame(
            found, "similar_item", self.items, item=self.items.take(rows[found.lists])
        )

    def similar_users(self, users: Iterable[Any] | None = None, k: int = 10) -> "pd.DataFrame":
        """Return the most similar other users of each user; None: of everyone.

        Returns:
            Columns ``user``, ``similar_user``, ``score`` and ``rank``.

        Raises:
            DataError: An id is not known.
            ConfigError: `k` is below 1.
        """
        ListOptions(k=k)
        rows = np.arange(self.n_users) if users is None else self.users.known(users, "similar")
        found = self.similar_user_lists(rows, k)
        return self._frame(
            found, "similar_user", self.users, user=self.users.take(rows[found.lists])
        )

    def item_table(self, found: Lists) -> "pd.DataFrame":
        """Return lists as columns ``item``, ``score``, ``rank``, and ``item_name`` if known."""
        return self._frame(found, "item", self.items)

    # ---- within

    @cached_property
    def _item_likeness(self) -> BlockScorer:
        return self.form.item_likeness()

    @cached_property
    def _user_likeness(self) -> BlockScorer:
        return self.form.user_likeness()

    def _prepared(self, options: ListOptions | PreparedOptions) -> PreparedOptions:
        if isinstance(options, PreparedOptions):
            return options
        return PreparedOptions(options, None) if options.is_plain else self.prepare(options)

    def _of_scores(
        self,
        scores: NDArray[np.float32],
        options: ListOptions | PreparedOptions,
        seen: NDArray[np.int64] | None,
    ) -> Lists:
        prepared, exclude = self._prepared(options), None
        if seen is not None and prepared.options.exclude_seen:
            n_items = self.n_items
            exclude = UserItems(np.array([0, len(seen)]), seen.astype(np.int32), n_items)
        return self._choose(lambda _: scores, _ONE, prepared, exclude)

    def _choose(
        self,
        scorer: BlockScorer,
        rows: NDArray[np.int64],
        prepared: PreparedOptions,
        exclude: UserItems | None,
    ) -> Lists:
        options = prepared.options
        if options.is_plain:
            return top_k_of(scorer, rows, self.n_items, options.k, exclude=exclude)
        if options.popularity_discount:
            scorer = self._discounted(scorer, options.popularity_discount)
        k = max(pool_size(options.k), options.k) if options.diversity else options.k
        found = top_k_of(
            scorer, rows, self.n_items, k, exclude=exclude, candidates=prepared.candidates
        )
        if not options.diversity:
            return found
        return diversify(found, self.form.item_vectors(), options.k, options.diversity)

    def _discounted(self, scorer: BlockScorer, discount: float) -> BlockScorer:
        losses = np.float32(discount) * self.popularity

        def score(rows: NDArray[np.integer]) -> NDArray[np.float32]:
            scores = scorer(rows)
            return np.asarray(scores - scores.std(axis=1, keepdims=True) * losses, np.float32)

        return score

    def _frame(
        self, found: Lists, column: str, ids: TextIds, **first: NDArray[Any]
    ) -> "pd.DataFrame":
        import pandas as pd

        table = {**first, column: ids.take(found.items)}
        table |= {"score": found.scores, "rank": found.ranks}
        if ids is self.items and self.item_names:
            names = np.array(self.item_names, object)
            table[f"{column}_name"] = names[found.items]
        return pd.DataFrame(table)
