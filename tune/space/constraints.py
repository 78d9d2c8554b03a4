"""Constraints between settings: short comparisons, read as data and never run as code.

``model.n_latent * training.batch_size <= 1000000`` is parsed into a tree of which only numbers,
text, dotted settings, arithmetic, comparisons, ``and``, ``or``, ``not`` and ``in`` are allowed.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Self

from hbpr.errors import SpaceError
from hbpr.settings.kinds import until_a_kind_is_added
from hbpr.settings.load import dotted
from hbpr.settings.models import TrialSettings
from hbpr.settings.problems import known_keys
from tune.space.dimensions import setting_of
from tune.space.words import nearest, refuse

_PLACE: Final = "constraints"
_EXAMPLE: Final = "such as model.n_latent * training.batch_size <= 1000000"
_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


@dataclass(frozen=True)
class Constraint:
    """One condition that every trial must meet.

    Attributes:
        text: As it was written.
        fixed: Values of its settings where a trial has none of its own; set by `beside`.
    """

    text: str
    fixed: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a constraint.

        Raises:
            SpaceError: It is no comparison of settings; the message starts with ``constraints``.
        """
        if not isinstance(text, str):
            raise refuse(_PLACE, f"a constraint is text {_EXAMPLE}, got {text!r}.")
        try:
            tree = _tree(text)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise refuse(
                _PLACE, f"{text!r} cannot be read ({error}); write it {_EXAMPLE}"
            ) from None
        if not isinstance(tree, ast.Compare | ast.BoolOp | ast.UnaryOp):
            raise refuse(_PLACE, f"{text!r} compares nothing; write it {_EXAMPLE}")
        _check(tree, text)
        return cls(text)

    @property
    def keys(self) -> frozenset[str]:
        """The dotted settings that it names."""
        return frozenset(key for node in ast.walk(_tree(self.text)) if (key := _key(node)))

    def beside(self, base: TrialSettings) -> Self:
        """Return the constraint with the settings of `base` where a trial has no value."""
        fixed = tuple((key, setting_of(base, key)) for key in sorted(self.keys))
        return replace(self, fixed=fixed)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial with these values meets it; a division by zero does not.

        Raises:
            SpaceError: Values that cannot be compared, such as text with a number.
        """
        given = {**dict(self.fixed), **dotted(values)}
        for name in [name for name, value in given.items() if value is None]:
            given |= {key: None for key in self.keys if key.startswith(f"{name}.")}
        try:
            return bool(_value(_tree(self.text), given))
        except ArithmeticError:
            return False
        except TypeError as error:
            shown = ", ".join(f"{key}={given.get(key)!r}" for key in sorted(self.keys))
            raise refuse(_PLACE, f"{self.text!r} cannot be computed for {shown}: {error}") from None


@cache
def _tree(text: str) -> ast.expr:
    return ast.parse(text.strip(), mode="eval").body


def _key(node: ast.AST) -> str | None:
    """Return the dotted name that a node spells from its beginning, or None."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not names or not isinstance(node, ast.Name):
        return None
    key = ".".join((node.id, *reversed(names)))
    return key if key in _keys() else None


@until_a_kind_is_added
def _keys() -> frozenset[str]:
    keys = known_keys(TrialSettings)
    return frozenset(k for k in keys if not any(other.startswith(f"{k}.") for other in keys))


def _check(node: ast.AST, text: str) -> None:
    """Refuse everything that is not known to be harmless."""
    parts: list[ast.AST] = []
    if isinstance(node, ast.Name | ast.Attribute):
        if _key(node) is None:
            word = ast.unparse(node)
            raise refuse(
                _PLACE,
                f"{text!r}: {word} is no setting{nearest(word, _keys())} Write dotted keys, and "
                "text in quotes.",
            )
    elif isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
        _known(node.ops, _COMPARISONS, text)
    elif isinstance(node, ast.BoolOp):
        parts = list(node.values)
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
        _known([node.op], _ARITHMETIC, text)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        parts = [node.operand]
    elif isinstance(node, ast.List | ast.Tuple):
        parts = list(node.elts)
    elif not (isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | None)):
        raise refuse(
            _PLACE,
            f"{text!r}: {ast.unparse(node)!r} is not allowed; a constraint has settings, numbers, "
            "text, + - * / // %, comparisons, and, or, not, in",
        )
    for part in parts:
        _check(part, text)


def _known(operators: "list[Any]", table: Mapping[Any, Any], text: str) -> None:
    for each in operators:
        if type(each) not in table:
            raise refuse(_PLACE, f"{text!r}: the operator {type(each).__name__} is not allowed")


def _value(node: ast.expr, given: Mapping[str, Any]) -> Any:
    """Compute a checked tree."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() | ast.Attribute():
            value = given[_key(node) or ""]
            return list(value) if isinstance(value, tuple) else value
        case ast.Compare():
            return _holds(node, given)
        case ast.BoolOp():
            together = all if isinstance(node.op, ast.And) else any
            return together(_value(part, given) for part in node.values)
        case ast.BinOp():
            return _ARITHMETIC[type(node.op)](_value(node.left, given), _value(node.right, given))
        case ast.UnaryOp():
            value = _value(node.operand, given)
            return not value if isinstance(node.op, ast.Not) else -value
        case ast.List() | ast.Tuple():
            return [_value(part, given) for part in node.elts]
    raise SpaceError(f"{_PLACE}: {ast.unparse(node)!r} is not allowed")


def _holds(node: ast.Compare, given: Mapping[str, Any]) -> bool:
    """Whether a chain of comparisons such as ``1 < x <= 3`` holds; it stops where one does not."""
    left = _value(node.left, given)
    for op, part in zip(node.ops, node.comparators, strict=True):
        right = _value(part, given)
        if not _COMPARISONS[type(op)](left, right):
            return False
        left = right
    return True
