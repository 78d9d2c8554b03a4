"""Words that several modules must agree on are written in one module each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hbpr.tracking import tags
from tune.storage import names
from tune.trial import messages

ROOT = Path(__file__).parents[1]
PACKAGES = ("hbpr", "tune", "cluster", "dashboards")

TAGS = {value for value in vars(tags).values() if isinstance(value, str) and "hbpr." in value}
FILES = {
    value
    for name, value in vars(names).items()
    if name.isupper() and re.search(r"\.(json|jsonl|log|html|txt)$", value)
}
KEYS = {
    messages.EPOCH,
    messages.BEST_VALUE,
    messages.BEST_EPOCH,
    messages.N_TRIPLES,
    messages.FINISHED,
    messages.FAILED,
    messages.DONE,
    messages.NUMBER,
}
#: Rooms that build or read results of trials.
ROOMS = (
    "trial",
    "study",
    "search",
    "tracking",
    "answer",
    "report",
    "settings",
    "schedulers",
    "forecast",
)
#: What has its own files of such names: the trained system, and who serves a study's winner but may
#: not import `tune`.
FILES_OF_OTHERS = {"hbpr/inference/locate.py"}
#: Fields of `Parent` and of events, columns of tables, and summaries of an earlier version.
KEYS_OF_OTHERS = {
    "tune/trial/trainable.py": {"epoch"},
    "tune/answer/about.py": {"best_epoch"},
    "tune/forecast/curves.py": {"trial", "epoch"},
    **{f"tune/tracking/{name}.py": {"trial"} for name in ("events", "history", "recorder", "runs")},
    "tune/report/summary.py": {"best_epoch"},
    **{f"tune/{name}.py": {"trial"} for name in ("report/sight", "tracking/tail")},
}


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def texts(tree: ast.Module) -> Iterator[str]:
    """Every text but docstrings, those inside of f-strings included."""
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in documents:
            continue
        if isinstance(node.value, str):
            yield node.value


def keys(tree: ast.Module) -> Iterator[object]:
    """What mappings are made of and read by."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.Dict):
            found = list(node.keys)
        elif isinstance(node, ast.Subscript):
            found = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found = node.args[:1] if node.func.attr in ("get", "pop") else []
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            found = [node.left]
        yield from (each.value for each in found if isinstance(each, ast.Constant))


@pytest.mark.parametrize(
    ("words", "home", "others"),
    [
        (TAGS, "hbpr/tracking/tags.py", {"hbpr/__init__.py"}),  # names modules, such as hbpr.data
        (FILES, "tune/storage/names.py", FILES_OF_OTHERS),
    ],
    ids=["tags", "files"],
)
def test_it_is_written_in_one_module(words: set[str], home: str, others: set[str]) -> None:
    assert len(words) > 5
    pattern = re.compile(rf"(?<![\w./])({'|'.join(map(re.escape, words))})(?![\w.])")
    found = {
        (name, match[0])
        for name, tree in modules(*PACKAGES)
        if name not in {home, *others}
        for text in texts(tree)
        for match in pattern.finditer(text)
    }
    assert found == set()


def test_keys_of_results_are_written_in_one_module() -> None:
    found = {
        (name, key)
        for name, tree in modules(*(f"tune/{room}" for room in ROOMS))
        if name != "tune/trial/messages.py"
        for key in keys(tree)
        if key in KEYS - KEYS_OF_OTHERS.get(name, set())
    }
    assert found == set()
