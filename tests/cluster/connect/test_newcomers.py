"""Nodes that join while a study runs, with Ray's answers played."""

import logging
from pathlib import Path
from typing import Any

import pytest
import ray

from cluster.connect import newcomers as module
from cluster.connect.newcomers import Newcomers
from cluster.connect.preflight import our_versions
from hbpr.errors import ClusterError

OURS = our_versions()


class Cluster:
    """Nodes that answer when they are told to."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.answers: dict[str, tuple[str, dict[str, str]]] = {}

    def join(self, name: str) -> None:
        self.nodes.append(
            {
                "NodeID": name,
                "Alive": True,
                "NodeManagerHostname": name,
                "NodeManagerAddress": f"10.0.0.{len(self.nodes) + 1}",
            }
        )

    def ask(self, node: dict[str, Any], marker: Any) -> tuple[str, str]:
        assert Path(marker.path).is_file()
        self.asked.append(node["NodeID"])
        own = f"{marker.path}-{node['NodeID']}"
        Path(own).write_text("x")
        return node["NodeID"], own

    def wait(self, references: list[str], timeout: float) -> tuple[list[str], list[str]]:
        ready = [each for each in references if each in self.answers]
        return ready, []


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    played = Cluster()
    monkeypatch.setattr(module, "ask_node", played.ask)
    monkeypatch.setattr(ray, "nodes", lambda: played.nodes)
    monkeypatch.setattr(ray, "wait", played.wait)
    monkeypatch.setattr(ray, "get", lambda reference: played.answers[reference])
    played.join("a")
    return played


def test_a_node_is_left_out_until_it_has_passed(cluster: Cluster, tmp_path: Path) -> None:
    newcomers = Newcomers(["a"], tmp_path)
    assert newcomers.look() == frozenset()
    cluster.join("b")
    assert newcomers.look() == {"b"}
    assert newcomers.look() == {"b"}
    cluster.answers["b"] = ("", OURS)
    assert newcomers.look() == frozenset()
    assert newcomers.unfit() == frozenset()
    assert cluster.asked == ["b"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("", OURS | {"torch": "9.9"}), "other versions: torch 9.9"),
        (("", OURS | {"hbpr": "9.9"}), "other versions: hbpr 9.9"),
        (("No such file or directory: /s", OURS), "sweep.storage must be one folder"),
        (("cannot import hbpr", {}), "Install hbpr there"),
    ],
)
def test_a_node_that_fails_gets_no_trials_and_a_line_says_why(
    cluster: Cluster,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[str, dict[str, str]],
    said: str,
) -> None:
    newcomers = Newcomers(["a"], tmp_path)
    cluster.join("b")
    cluster.answers["b"] = answer
    assert newcomers.look() == newcomers.look() == newcomers.unfit() == {"b"}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("b (10.0.0.2) has joined and gets no trials: ")
    assert said in line
    cluster.nodes[1]["Alive"] = False
    newcomers.look()
    assert newcomers.unfit() == frozenset()  # a selector grows no longer than the cluster


def test_a_node_that_goes_before_it_answers_is_forgotten(cluster: Cluster, tmp_path: Path) -> None:
    newcomers = Newcomers(["a"], tmp_path)
    cluster.join("b")
    newcomers.look()
    cluster.nodes.pop()
    assert newcomers.look() == frozenset()
    assert list(tmp_path.iterdir()) == []
    cluster.join("c")
    newcomers.look()
    assert len(list(tmp_path.iterdir())) == 2
    newcomers.close()
    assert list(tmp_path.iterdir()) == []


def test_a_slow_node_is_mentioned_once(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "SLOW_S", -1.0)
    newcomers = Newcomers(["a"], tmp_path)
    cluster.join("b")
    for _ in range(3):
        newcomers.look()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "before it answers" in caplog.text
    cluster.answers["b"] = ("", OURS)
    assert newcomers.look() == frozenset()


def test_a_storage_that_cannot_be_written_is_tried_again(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomers = Newcomers(["a"], tmp_path)
    cluster.join("b")
    with monkeypatch.context() as patch:

        def refuse(storage: Path) -> Any:
            raise ClusterError("cannot write")

        patch.setattr(module, "marker_in", refuse)
        assert newcomers.look() == {"b"}
    assert cluster.asked == []
    newcomers.look()
    assert cluster.asked == ["b"]
