"""What `mlflow.pyfunc.load_model` gives of a logged recommender: tables in, tables out."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hbpr.errors import DataError
from hbpr.inference.folder import read_about
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions, Someone

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

#: Environment variable: modules that classes of models may be imported from, with commas.
ALLOW: Final = "HBPR_ALLOW"
_DEFAULT_K: Final = 10
_INPUTS: Final = ("user", "history", "features")
#: MLflow's names of the kinds of ids.
_KINDS: Final = {"i": "long", "u": "long", "f": "double", "U": "string"}


def signature_of(saved: Path) -> "ModelSignature":
    """Return what the model of a folder takes and answers; ids come in as numbers or as texts."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType

    arrays = read_about(saved)["arrays"]
    user, item = (_KINDS[np.dtype(arrays[f"data/{side}_ids"][0]).kind] for side in ("user", "item"))
    return ModelSignature(
        inputs=Schema(
            [
                *(ColSpec(AnyType(), name, required=False) for name in _INPUTS),
                ColSpec("long", "k", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec("long", "row"),
                ColSpec(user, "user", required=False),
                ColSpec(item, "item", required=False),
                ColSpec("float", "score", required=False),
                ColSpec("long", "rank", required=False),
                ColSpec("string", "item_name", required=False),
                ColSpec("string", "error", required=False),
            ]
        ),
        params=ParamSchema(
            [ParamSpec("k", "long", _DEFAULT_K), ParamSpec("exclude_seen", "boolean", True)]
        ),
    )


class SystemModel:
    """What `mlflow.pyfunc.load_model` calls.

    Args:
        model: The model.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def predict(
        self,
        model_input: "pd.DataFrame",
        params: Mapping[str, Any] | None = None,
    ) -> "pd.DataFrame":
        """Return the best items for each row.

        Args:
            model_input: A row for each user: a column ``user`` of ids, matched by their text, or
                for who is not known ``history``, a list of item ids, and ``features``, a list of
                names. A column ``k`` may be there (its first value holds for all).
            params: ``k``, unless the input has it, and ``exclude_seen``. Default: 10, True.

        Returns:
            Columns ``row`` (of the input, from 0), ``user``, ``item``, ``score``, ``rank`` (from 1)
            and, if the model knows names of items, ``item_name``. If a row has no answer, a column
            ``error`` says why, and the row has no item.

        Raises:
            DataError: The input is no such table, or no row of it has an answer.
        """
        columns = getattr(model_input, "columns", None)
        if columns is None or not set(_INPUTS) & set(columns):
            got = type(model_input).__name__ if columns is None else f"columns {list(columns)}"
            raise DataError(
                "model input: expected a data frame with a column 'user' of ids, such as "
                "pandas.DataFrame({'user': [42, 43]}), or with 'history' or 'features' of lists, "
                f"got {got}"
            )
        given = params or {}
        k = model_input["k"].iloc[0] if "k" in columns else given.get("k", _DEFAULT_K)
        options = ListOptions(k=int(k), exclude_seen=bool(given.get("exclude_seen", True)))
        cells = {
            name: model_input[name].tolist() if name in columns else [None] * len(model_input)
            for name in _INPUTS
        }
        people = [
            Someone(_id(user), _list(history), _list(features))
            for user, history, features in zip(*(cells[name] for name in _INPUTS), strict=True)
        ]
        return self._answers(people, options)

    def _answers(self, people: Sequence[Someone], options: ListOptions) -> "pd.DataFrame":
        """One table for all; known users in one go."""
        import pandas as pd

        model, errors = self.model, dict[int, str]()
        known = [
            (row, found)
            for row, each in enumerate(people)
            if each.history is None
            and each.features is None
            and (found := model.users.row(each.user)) is not None
        ]
        tables = []
        if known:
            rows, users = (np.array(column) for column in zip(*known, strict=True))
            lists = model.lists(users, options)
            tables.append(model.item_table(lists))
            tables[0].insert(0, "user", model.users.take(users[lists.lists]))
            tables[0].insert(0, "row", rows[lists.lists])
        answered = {row for row, _ in known}
        for row, each in enumerate(people):
            if row in answered:
                continue
            try:
                table = model.item_table(model.list_for(each, options))
            except DataError as error:
                errors[row] = str(error)
                table = pd.DataFrame({"user": [each.user], "error": [errors[row]]})
            else:
                table.insert(0, "user", None)
            table.insert(0, "row", row)
            tables.append(table)
        if people and len(errors) == len(people):
            raise DataError(f"model input: {errors[0]}")
        if not tables:
            return pd.DataFrame({name: [] for name in ("row", "user", "item", "score", "rank")})
        whole = pd.concat(tables, ignore_index=True)
        return whole.sort_values("row", kind="stable", ignore_index=True)


def load_pyfunc(path: str) -> SystemModel:
    """Load a model's data folder.

    MLflow hands on what the model's own files say and nothing of the caller's, so what is allowed
    comes from the environment: `ALLOW`.
    """
    named = os.environ.get(ALLOW, "").split(",")
    allow = [each.strip() for each in named if each.strip()]
    return SystemModel(LoadedModel.read(Path(path), allow=allow))


def _id(cell: Any) -> Any:
    """An id, or None for a missing one; whole numbers that a missing one made floats are mended."""
    if cell is None or cell != cell:
        return None
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _list(cell: Any) -> list[Any] | None:
    if cell is None or (isinstance(cell, float) and cell != cell):
        return None
    return cell if isinstance(cell, list) else list(cell)
