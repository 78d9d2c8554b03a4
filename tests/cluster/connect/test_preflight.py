"""The table of the nodes and what is wrong with them, without a cluster."""

import platform

import ray

from cluster.connect.preflight import _Answer, _question, _table

OURS = {"python": "3.11.7", "ray": "2.60.0", "torch": "2.13.0", "hbpr": "0.1.0"}


def test_nodes_with_our_versions_fit() -> None:
    assert _Answer("a (10.0.0.1)", "", OURS).problem_beside(OURS) == ""
    assert _Answer("a (10.0.0.1)", "", OURS | {"python": "3.11.2"}).problem_beside(OURS) == ""


def test_other_versions_are_named_on_both_sides() -> None:
    theirs = OURS | {"python": "3.12.1", "torch": "2.6.0"}
    problem = _Answer("b (10.0.0.2)", "", theirs).problem_beside(OURS)
    assert "python 3.12.1, here 3.11.7; torch 2.6.0, here 2.13.0" in problem
    assert _Answer("b", "no answer", {}).problem_beside(OURS) == "no answer"


def test_the_table_has_a_line_for_each_node() -> None:
    answers = [_Answer("a (10.0.0.1)", "", OURS), _Answer("long-name (10.0.0.20)", "gone", {})]
    head, here, first, second = _table(answers, ["", "gone"], OURS)
    assert head.split() == ["node", "python", "ray", "torch", "hbpr", "fits"]
    assert here.startswith("this process")
    assert first.split()[-1] == "yes"
    assert second.split()[-5:] == ["?", "?", "?", "?", "no"]
    assert len({line.index(word) for line, word in ((head, "python"), (first, "3.11.7"))}) == 1


def test_what_a_node_is_asked(tmp_path) -> None:
    look, versions = _question()
    found = versions()
    assert (found["python"], found["ray"]) == (platform.python_version(), ray.__version__)
    assert "+" not in found["torch"]
    marker, own = tmp_path / "marker", tmp_path / "own"
    marker.write_text("x")
    assert look(str(marker), "x", str(own)) == ("", found)
    assert own.read_text() == "x"
    assert look(str(marker), "y", str(own))[0].startswith("reads another")
    assert look(str(tmp_path / "no"), "x", str(own))[0].startswith("No such file")
