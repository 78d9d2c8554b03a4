"""Reading YAML: numbers, lines, and one clear error for each way to get it wrong."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbpr.errors import ConfigError
from hbpr.settings.yaml import Document, load_yaml, parse_value


def read(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    return load_yaml(path)


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "x.yaml"))
    return message.removeprefix(str(tmp_path / "x.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        ("-2e3", -2000.0),
        ("1.5e3", 1500.0),
        (".5e-2", 0.005),
        ("+1e+2", 100.0),
        ("0.01", 0.01),
        ("1_000", 1000),
        ("12", 12),
        ("e3", "e3"),
        ("1e", "1e"),
        ("1e-3x", "1e-3x"),
        ("'1e-3'", "1e-3"),
        ("[1e-3, 2]", [0.001, 2]),
        ("", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, value: object) -> None:
    read_back = parse_value(text, "here")
    assert read_back == value
    assert type(read_back) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_prints_is_read_back(number: float) -> None:
    read_back = parse_value(repr(number), "here")
    assert isinstance(read_back, float)
    assert math.isclose(read_back, number, rel_tol=0.0, abs_tol=0.0)


def test_lines_of_every_key_are_kept(tmp_path: Path) -> None:
    document = read(
        tmp_path, "# note\nmodel:\n  n_latent: 8\ntraining:\n  top_k:\n    - 5\n    - 10\n"
    )
    assert document.data == {"model": {"n_latent": 8}, "training": {"top_k": [5, 10]}}
    assert document.lines == {
        "model": 2,
        "model.n_latent": 3,
        "training": 4,
        "training.top_k": 5,
        "training.top_k.0": 6,
        "training.top_k.1": 7,
    }


def test_anchors_and_merges_work_and_own_keys_win(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n")
    assert document.data["b"] == {"x": 3, "y": 2}
    assert document.lines["b.x"] == 4
    assert document.lines["b.y"] == 1


def test_a_byte_order_mark_is_no_key(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeffmodel: {}\n").data == {"model": {}}


def test_a_duplicate_key_names_both_lines(tmp_path: Path) -> None:
    message = refused(tmp_path, "model:\n  n_latent: 8\n  kind: mf\n  n_latent: 16\n")
    assert message == (
        ", line 4, model.n_latent: the key is already given in line 2. Remove one of the two."
    )


def test_a_duplicate_key_deep_in_a_list_is_refused(tmp_path: Path) -> None:
    assert ", line 2, a.0.b: the key is already given in line 1" in refused(
        tmp_path, "a: [{b: 1,\n b: 2}]"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty"),
        ("# only a comment\n", ": the file is empty"),
        ("- 1\n- 2\n", ", line 1: the top level must be `key: value` lines, got a list"),
        ("hello", ", line 1: the top level must be `key: value` lines, got the single value"),
        ("model:\n\tn_latent: 8\n", ", line 2: not valid YAML: found a tab; indent with spaces"),
        ("model: {n_latent: 8\n", ": not valid YAML"),
        ("a: 1\n---\nb: 2\n", "line 2: not valid YAML"),
        ("3: x\n", ", line 1: a key must be text, got '3'; quote it"),
        ("a:\n  ? [1, 2]\n  : x\n", ", line 2: a key must be text, got a list or a mapping"),
        ("a: *missing\n", ", line 1: not valid YAML: found undefined alias"),
        ("a: &a\n  b: *a\n", "the anchor contains itself"),
        (
            "a: !!python/object/apply:os.getcwd []\n",
            ", line 1: not valid YAML: could not determine",
        ),
        ("a: \x00\n", "not valid YAML"),
        ("a: 2024-13-45\n", "not valid YAML"),
    ],
)
def test_what_is_not_settings_is_refused_in_one_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    assert message in refused(tmp_path, text)


def test_a_missing_file_names_a_similar_one(tmp_path: Path) -> None:
    (tmp_path / "ml-100k.yaml").write_text("{}")
    with pytest.raises(ConfigError, match=r"ml100k\.yaml: no such file\. Did you mean .*ml-100k"):
        load_yaml(tmp_path / "ml100k.yaml")


def test_a_folder_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_yaml(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="must be UTF-8 text, got byte 3"):
        load_yaml(tmp_path / "x.yaml")


def test_a_missing_folder_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file\.$"):
        load_yaml(tmp_path / "none" / "x.yaml")
