"""Ids of users, items and features: one kind a side, numbered without a Python loop.

Kinds of ids are ``int`` (any numpy width), ``str`` and ``float``, which can be saved; bytes that
are UTF-8 are taken as texts, whole decimals as integers, and UUIDs by their text. Labels of
features may be any other hashable: their kind is the name of their type. A mix such as ``1`` and
``"1"`` is nearly always an accident, so a side refuses it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbpr.errors import DataError

#: Kinds that are numbered in sorted order and that can be saved; others keep first appearance.
SORTED_KINDS = ("int", "str", "float")


@dataclass(frozen=True)
class Coded:
    """One column of ids, factorized.

    Attributes:
        codes: (n,) int32 position of each row's id in `ids`.
        ids: (n_distinct,) distinct ids: int64, float64, or object.
        kind: Kind of the ids, such as ``int``.
    """

    codes: NDArray[np.int32]
    ids: NDArray[Any]
    kind: str

    @classmethod
    def of(cls, ids: NDArray[Any]) -> "Coded":
        """A column without rows over distinct int64, float64 or ``<U`` ids."""
        kind = {"i": "int", "f": "float", "U": "str"}[ids.dtype.kind]
        return cls(np.zeros(0, np.int32), ids.astype(object) if kind == "str" else ids, kind)

    def rows(self, codes: NDArray[np.integer]) -> "Coded":
        """A column over the same ids with the (n,) given positions."""
        return Coded(codes.astype(np.int32), self.ids, self.kind)


def encode(values: Iterable[Any], place: str, *, to_save: bool = False) -> Coded | None:
    """Check one column of ids and factorize it.

    Args:
        values: One-dimensional array, series or sequence of hashable ids; a pandas categorical is
            taken by its codes, without a look at every row.
        place: What the column is, for messages, such as ``add_item_features: ids``.
        to_save: Whether a kind that cannot be saved is refused, as for ids of a dataset.

    Returns:
        The factorized column, or None for a column without rows.

    Raises:
        DataError: A missing id (None, NaN), ids of two kinds, an id that is not hashable or, where
            that is asked for, cannot be saved, an integer outside 64 bits, or something that is not
            one-dimensional.
    """
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.CategoricalDtype):
        values = values.array
    if isinstance(values, pd.Categorical):
        return _encode_categorical(values, place, to_save=to_save)
    array = _as_array(values, place)
    if len(array) == 0:
        return None
    array, kind = _of_one_kind(array, place)
    if kind not in SORTED_KINDS:
        array, kind = _plainer(array, kind, place, to_save=to_save)
    try:
        codes, distinct = pd.factorize(array)
    except TypeError as error:
        raise DataError(f"{place}: ids must be hashable, {error}") from error
    ids = np.asarray(distinct)
    if kind == "str":
        _refuse_nul(ids, codes, place)
    return Coded(codes.astype(np.int32, copy=False), ids, kind)


def _encode_categorical(values: pd.Categorical, place: str, *, to_save: bool) -> Coded | None:
    if len(values) == 0:
        return None
    codes = np.asarray(values.codes, np.int32)
    _refuse_missing(codes < 0, codes, place)
    ids, kind = _of_one_kind(_as_array(values.categories.to_numpy(), place), place)
    if kind not in SORTED_KINDS:
        ids, kind = _plainer(ids, kind, place, to_save=to_save)
    used = np.zeros(len(ids), bool)
    used[codes] = True
    if not used.all():
        codes = (np.cumsum(used, dtype=np.int32) - 1)[codes]
        ids = ids[used]
    if kind == "str":
        _refuse_nul(ids, codes, place)
    return Coded(codes, ids, kind)


def check_same_kind(side: str, known: Coded, new: Coded) -> None:
    """Refuse ids of another kind than the side has already.

    Raises:
        DataError: The kinds differ; the message shows an example of each.
    """
    if known.kind != new.kind:
        raise DataError(
            f"{side}: ids must be of one type, got {known.kind} ({_plain(known.ids[0])!r}) and "
            f"{new.kind} ({_plain(new.ids[0])!r}). Convert one of them."
        )


def catalogue(columns: Iterable[Coded]) -> tuple[NDArray[Any], list[NDArray[np.int32]]]:
    """Number all ids of some columns of one kind.

    Integers, strings and floats are numbered in sorted order, so the order of rows and of calls
    changes nothing; other hashables in order of first appearance.

    Returns:
        (n,) distinct ids in index order (int64, float64, ``<U`` or object), and for each column
        the (rows,) int32 index of every row.
    """
    columns = list(columns)
    if not columns:
        return np.zeros(0, np.int64), []
    parts = [column.ids for column in columns]
    everything = parts[0] if len(parts) == 1 else np.concatenate(parts)
    distinct = np.asarray(pd.factorize(everything)[1])
    if columns[0].kind in SORTED_KINDS:
        distinct = np.sort(distinct)
    index = pd.Index(distinct, tupleize_cols=False)
    rows = [
        index.get_indexer(pd.Index(part, tupleize_cols=False)).astype(np.int32)[column.codes]
        for part, column in zip(parts, columns, strict=True)
    ]
    return (distinct.astype(np.str_) if columns[0].kind == "str" else distinct), rows


class Lookup:
    """Finds the index of known ids.

    Args:
        side: What they are, such as ``user``, for messages.
        ids: (n,) known ids, in index order.
        name: Name of the dataset, for messages.
    """

    def __init__(self, side: str, ids: NDArray[Any], name: str) -> None:
        self._side, self._name = side, name
        self._index = pd.Index(ids, tupleize_cols=False)

    def rows(self, ids: Iterable[Any], place: str) -> NDArray[np.int64]:
        """(n,) index of each of n ids, repeats allowed.

        Raises:
            DataError: An id is unknown, or is none; `place` begins the message.
        """
        coded = encode(ids, f"{place}: {self._side}s")
        if coded is None:
            return np.zeros(0, np.int64)
        rows = self._index.get_indexer(pd.Index(coded.ids, tupleize_cols=False))
        unknown = coded.ids[rows < 0].tolist()
        if unknown:
            shown = ", ".join(map(repr, unknown[:3])) + (", ..." if len(unknown) > 3 else "")
            raise DataError(
                f"{place}: {len(unknown)} of {len(coded.ids)} {self._side} ids are not in the data "
                f"of {self._name}: {shown}; ids look like {self._index[:1].tolist()[0]!r}"
            )
        return np.asarray(rows[coded.codes], np.int64)


def _as_array(values: Iterable[Any], place: str) -> NDArray[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise DataError(f"{place}: expected a one-dimensional array or list, got {values!r}")
    if not hasattr(values, "__array__"):
        return _objects(list(values))
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{place}: expected a one-dimensional array, got shape {array.shape}")
    return array


def _of_one_kind(array: NDArray[Any], place: str) -> tuple[NDArray[Any], str]:
    code = array.dtype.kind
    if code in "iu":
        return _int64(array, place), "int"
    if code == "f":
        _refuse_missing(~np.isfinite(array), array, place)
        return array.astype(np.float64), "float"
    if code in "UT":
        return array.astype(object), "str"
    if code != "O":
        array = _objects(list(array))
    _refuse_missing(pd.isna(array), array, place)
    kinds: dict[str, type] = {}
    for type_ in dict.fromkeys(map(type, array.tolist() if code == "O" else array)):
        kinds.setdefault(_kind(type_), type_)
    if len(kinds) > 1:
        (first, first_type), (second, second_type) = list(kinds.items())[:2]
        examples = [
            _plain(next(v for v in array if type(v) is t)) for t in (first_type, second_type)
        ]
        raise DataError(
            f"{place}: ids must be of one type, got {first} ({examples[0]!r}) and "
            f"{second} ({examples[1]!r}). Convert one of them."
        )
    kind = next(iter(kinds))
    if kind == "int":
        try:
            return array.astype(np.int64), kind
        except OverflowError as error:
            raise DataError(f"{place}: integers must fit 64 bits; give such ids as text") from error
    if kind == "float":
        floats = array.astype(np.float64)
        _refuse_missing(~np.isfinite(floats), array, place)
        return floats, kind
    return array, kind


def _plainer(
    array: NDArray[Any], kind: str, place: str, *, to_save: bool
) -> tuple[NDArray[Any], str]:
    """Return ids of another type as texts or integers, where there is one way to.

    Raises:
        DataError: There is none, and they are to be saved.
    """
    first = array[0]
    try:
        if isinstance(first, bytes):
            return _objects([each.decode() for each in array]), "str"
        if isinstance(first, UUID):
            return _objects([str(each) for each in array]), "str"
        if isinstance(first, Decimal):
            if all(each == each.to_integral_value() for each in array):
                return _int64(np.array([int(each) for each in array]), place), "int"
            return _objects([format(each, "f") for each in array]), "str"
    except (UnicodeDecodeError, OverflowError):
        to_save = True
    if not to_save:
        return array, kind
    example = _plain(first)
    advice = "make a text of them"
    if isinstance(example, tuple):
        advice += f", such as {'|'.join(map(str, example))!r}"
    raise DataError(
        f"{place}: ids must be integers, floats or texts, since others cannot be saved, got {kind} "
        f"({example!r}); {advice}"
    )


def _kind(type_: type) -> str:
    if issubclass(type_, int | np.integer) and not issubclass(type_, bool):
        return "int"
    if issubclass(type_, str):
        return "str"
    if issubclass(type_, float | np.floating):
        return "float"
    return type_.__name__


def _int64(array: NDArray[Any], place: str) -> NDArray[np.int64]:
    if array.dtype == np.uint64 and len(array) and array.max() > np.iinfo(np.int64).max:
        raise DataError(f"{place}: integers must fit 64 bits, got {array.max()}")
    return array.astype(np.int64, copy=False)


def _refuse_nul(ids: NDArray[Any], codes: NDArray[np.integer], place: str) -> None:
    """Refuse texts that cannot be saved; a look at the distinct ones is enough."""
    for code, text in enumerate(ids):
        if text[-1:] == "\0":  # numpy would shorten it
            row = int(np.argmax(codes == code))
            raise DataError(f"{place}: row {row}: an id must not end with a NUL character")
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                row = int(np.argmax(codes == code))
                raise DataError(
                    f"{place}: row {row}: an id must be text that UTF-8 can write, got {text!r}"
                ) from None


def _objects(values: list[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values  # keeps tuples as ids: np.asarray would make a table of them
    return array


def _refuse_missing(missing: NDArray[np.bool_], array: NDArray[Any], place: str) -> None:
    count = int(missing.sum())
    if count:
        row = int(np.argmax(missing))
        raise DataError(
            f"{place}: {count} of {len(array)} ids are missing or not finite, the first in row "
            f"{row} ({_plain(array[row])!r}). Drop those rows or give them an id."
        )


def _plain(value: Any) -> Any:
    """The Python value of a numpy scalar, which reads better in a message."""
    return value.item() if isinstance(value, np.generic) else value
