"""The dashboards for Grafana, without Grafana and Prometheus; their queries on a real scrape are
tests/cluster/test_watching.py."""

import json
import re
from pathlib import Path

import pytest
import yaml

import dashboards.grafana.__main__ as command
from cluster.manifests.render import Names, render
from dashboards.grafana import DASHBOARDS, write_dashboards
from hbpr.cli.main import run
from tune.study.metrics import METRICS

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Names of Grafana's units.
UNITS = {"none", "short", "s", "percent", "percentunit", "bytes", "Bps"}
#: Unit of what a metric measures, by the end of its name.
UNIT_OF = {"_seconds": "s", "_bytes": "bytes", "_mem_total": "bytes"}
#: Ray's own, as its version 2.60 exports them.
OF_RAY = {
    "ray_node_cpu_count",
    "ray_node_cpu_utilization",
    "ray_node_mem_total",
    "ray_node_mem_used",
    "ray_node_disk_free",
    "ray_node_network_receive_speed",
    "ray_node_network_send_speed",
    "ray_object_store_memory",
    "ray_component_rss_bytes",
    "ray_component_cpu_percentage",
}


@pytest.fixture(scope="module", params=DASHBOARDS)
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("grafana")
    write_dashboards(folder)
    return json.loads((folder / f"hbpr-{request.param}").read_text())


def panels(board: dict) -> list[dict]:
    return [each for each in board["panels"] if each["type"] != "row"]


def queries(board: dict) -> list[str]:
    return [target["expr"] for panel in panels(board) for target in panel["targets"]]


def test_its_structure(board: dict) -> None:
    assert board["uid"].startswith("hbpr-")
    assert board["schemaVersion"] >= 36, "the first that Grafana 9 and later do not migrate"
    ids = [each["id"] for each in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert not {"id", "iteration", "gnetId"} & board.keys(), "what one Grafana gave it"
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert 0 < at["w"] <= 24 - at["x"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, f"{panel['title']} covers another panel"
        taken |= cells
    for panel in panels(board):
        assert panel["type"] in ("timeseries", "stat")
        assert panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs) > 0


def test_its_data_source_is_the_one_that_is_chosen(board: dict) -> None:
    chosen, *others = board["templating"]["list"]
    assert (chosen["name"], chosen["type"], chosen["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    compose = yaml.safe_load(render("compose", Names()))
    (source,) = yaml.safe_load(compose["configs"]["datasource"]["content"])["datasources"]
    assert chosen["current"]["value"] == source["uid"]
    assert all(each["datasource"] == SOURCE for each in others)
    for panel in panels(board):
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])


def test_its_units(board: dict) -> None:
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in UNITS, panel["title"]
        for target in panel["targets"]:
            plain = "/" not in target["expr"]  # a share has no unit of its own
            for name in re.findall(r"ray_\w+", target["expr"]) if plain else ():
                ending = next((end for end in UNIT_OF if name.endswith(end)), None)
                assert ending is None or unit == UNIT_OF[ending], panel["title"]


def test_its_queries(board: dict) -> None:
    own = {f"ray_{name}" for name in METRICS}
    variables = {each["name"] for each in board["templating"]["list"]}
    for query in queries(board):
        assert query.count("(") == query.count(")"), query
        assert set(re.findall(r"ray_\w+", query)) <= own | OF_RAY, query
        assert set(re.findall(r"\$(\w+)", query)) <= variables | {"__rate_interval"}, query
        assert not re.search(r"_(bucket|sum|count)\{", query.replace("cpu_count{", "")), (
            "sums of Ray's histograms are wrong"
        )
        for name in re.findall(r"(ray_hbpr_\w+_total)\{", query):
            assert "rate(" in query or "retries" in name, f"{query}: a counter is shown by its rate"
    for variable in board["templating"]["list"][1:]:
        assert set(re.findall(r"ray_\w+", variable["query"]["query"])) <= own | OF_RAY


def test_every_metric_of_a_study_is_on_a_panel(tmp_path: Path) -> None:
    said = "".join(path.read_text() for path in write_dashboards(tmp_path))
    assert [name for name in METRICS if f"ray_{name}" not in said] == []


def test_compose_provisions_them() -> None:
    compose = yaml.safe_load(render("compose", Names(shared="/mnt/a;b")))
    services = compose["services"]
    assert services["permissions"]["command"] == [
        "sh",
        "-c",
        "chown 1000:1000 '/mnt/a;b' /tmp/ray && python -m dashboards.grafana /dashboards",
    ]
    assert "dashboards:/dashboards" in services["permissions"]["volumes"]
    assert "dashboards:/dashboards:ro" in services["grafana"]["volumes"]
    assert services["grafana"]["depends_on"]["permissions"]
    assert "dashboards" in compose["volumes"]
    providers = yaml.safe_load(compose["configs"]["dashboards"]["content"])["providers"]
    assert "/dashboards" in [each["options"]["path"] for each in providers]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command.main, [str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [str(tmp_path / "new" / f"hbpr-{name}") for name in DASHBOARDS]
    (tmp_path / "file").touch()
    assert run(command.main, [str(tmp_path / "file" / "below")]) == 2
    assert "cannot be written" in capsys.readouterr().err
