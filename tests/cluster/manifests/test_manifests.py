"""Manifests are what the published schemas describe, and hold the user's names and our pins."""

import json
import os
import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

from cluster.manifests.command import cluster
from cluster.manifests.render import HEALTH_CHECKS, KINDS, Names, render
from hbpr.cli.main import run
from hbpr.errors import ConfigError

ROOT = Path(__file__).parents[3]
SCHEMAS = Path(os.environ.get("HBPR_SCHEMAS", ROOT.parent / "shared" / "schemas"))
MINE = Names(
    name="search-7",
    image="registry.example.org/team/hbpr:2.1",
    config="configs/ml-1m.yaml",
    shared="/mnt/work",
    tracking_uri="https://mlflow.example.org",
    workers=9,
    cpus=6,
    gpus=2,
    memory_gib=30,
    hosts=("10.0.0.1", "10.0.0.2", "10.0.0.3"),
)


def _schema(name: str) -> Path:
    path = SCHEMAS / name
    if not path.is_file():
        pytest.skip(f"no published schema at {path}; HBPR_SCHEMAS names its folder")
    return path


def _strict(schema: object) -> object:
    """Refuse what an object's schema does not name, as an API server drops it in silence."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if (
        isinstance(schema.get("properties"), dict)
        and not schema.get("x-kubernetes-preserve-unknown-fields")
        and "additionalProperties" not in schema
    ):
        strict["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    return strict


@cache
def _definition(file: str) -> tuple[dict, object]:
    """A custom resource definition, and the strict schema of its version v1."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # megabytes of YAML
    definition = yaml.load(_schema(file).read_text(), Loader=loader)
    (schema,) = [
        version["schema"]["openAPIV3Schema"]
        for version in definition["spec"]["versions"]
        if version["name"] == "v1"
    ]
    return definition, _strict(schema)


STORE = replace(MINE, storage="s3://lab/studies")


@pytest.mark.parametrize("names", [Names(), MINE, STORE], ids=["defaults", "mine", "store"])
@pytest.mark.parametrize(
    ("kind", "file"),
    [("raycluster", "kuberay-rayclusters.yaml"), ("rayjob", "kuberay-rayjobs.yaml")],
)
def test_kuberay(kind: str, file: str, names: Names) -> None:
    definition, schema = _definition(file)
    content = yaml.safe_load(render(kind, names))
    metadata = content.pop("metadata")
    jsonschema.Draft202012Validator(schema).validate(content)
    assert metadata["name"] == names.name
    assert content["kind"] == definition["spec"]["names"]["kind"]
    assert content["apiVersion"] == f"{definition['spec']['group']}/v1"
    spec = content["spec"] if kind == "raycluster" else content["spec"]["rayClusterSpec"]
    (head,) = spec["headGroupSpec"]["template"]["spec"]["containers"]
    assert {each["name"] for each in head["env"]} >= HEALTH_CHECKS.keys()
    assert spec["rayVersion"] == ray.__version__
    (workers,) = spec["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (0, names.workers)
    (worker,) = workers["template"]["spec"]["containers"]
    assert worker["image"] == names.image
    assert worker["resources"]["limits"]["cpu"] == names.cpus
    assert worker["resources"]["limits"].get("nvidia.com/gpu", 0) == names.gpus
    assert workers["template"]["spec"]["securityContext"]["runAsNonRoot"]
    if kind == "rayjob":
        assert content["spec"]["backoffLimit"] > 0
        assert "--resume-or-start" in content["spec"]["entrypoint"]
        assert f"sweep.storage={names.studies} " in content["spec"]["entrypoint"]
    volumes = {each["name"] for each in workers["template"]["spec"]["volumes"]}
    assert ("shared" in volumes) is (names.storage is None)


@pytest.mark.parametrize("names", [Names(), MINE], ids=["defaults", "mine"])
def test_compose(names: Names) -> None:
    content = yaml.safe_load(render("compose", names))
    jsonschema.validate(content, json.loads(_schema("compose-spec.json").read_text()))
    services = content["services"]
    assert {"head", "worker", "mlflow", "postgres", "prometheus", "grafana"} <= services.keys()
    assert all(
        port.startswith("127.0.0.1:")
        for each in services.values()
        for port in each.get("ports", [])
    )
    # Without a driver SQLAlchemy 2.1 takes psycopg 3, which the image does not have.
    assert "postgresql+psycopg2://" in services["mlflow"]["command"]
    for text in content["configs"].values():
        assert yaml.safe_load(text["content"])


@pytest.mark.parametrize("names", [Names(), MINE], ids=["defaults", "mine"])
@pytest.mark.parametrize("kind", ["aws", "on-premise"])
def test_the_launchers(kind: str, names: Names, tmp_path: Path) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    content = yaml.safe_load(render(kind, names))
    jsonschema.validate(content, schema)
    if kind == "on-premise":
        assert [content["provider"]["head_ip"], *content["provider"]["worker_ips"]] == list(
            names.hosts
        )
        return
    validate_config(prepare_config(content))


@pytest.mark.parametrize("names", [Names(), MINE], ids=["defaults", "mine"])
def test_the_slurm_script_is_a_script(names: Names) -> None:
    script = render("slurm", names)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    options = re.findall(r"^#SBATCH (--[a-z-]+)(?:=(\S+))?$", script, re.M)
    assert dict(options)["--nodes"] == str(names.workers)
    assert "--requeue" in dict(options)
    assert script.startswith("#!/bin/bash\n")


def test_the_image_has_our_pins_and_is_not_run_as_root() -> None:
    text = render("dockerfile", Names())
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.M))
    assert re.findall(r"torch==(\S+)", text) == [pins["torch"]]
    assert "-c constraints.txt" in text
    assert pins["ray"] == ray.__version__
    _, *stages = text.split("\nFROM ")
    assert all(re.findall(r"^USER (\S+)$", stage, re.M)[-1] == "1000" for stage in stages[:2])
    assert [stage.split("\n")[0].split()[-1] for stage in stages] == ["node", "mlflow", "node"]
    assert "ARG TORCH_INDEX" in text
    assert "psycopg2-binary" in pins


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"name": "My Cluster"}, "--name"),
        ({"image": "a b"}, "--image"),
        ({"config": "a; rm -rf ~ $HOME"}, "--config"),
        ({"shared": "here"}, "--shared"),
        ({"tracking_uri": "mlflow"}, "--tracking-uri"),
        ({"hosts": ("a b",)}, "--host"),
        ({"hosts": ()}, "--host"),
        ({"storage": "here"}, "--storage"),
        ({"storage": "s3://KEY:HIDDEN@lab/studies"}, "--storage: must not hold a key or password"),
    ],
)
def test_a_name_that_cannot_be_used(wrong: dict, option: str) -> None:
    with pytest.raises(ConfigError, match=option) as error:
        render("slurm", Names(**wrong))
    assert "HIDDEN" not in str(error.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rayjob.yaml"
    assert run(cluster, ["manifest", "rayjob", "--name", "mine", "-o", str(file)]) == 0
    assert yaml.safe_load(file.read_text())["metadata"]["name"] == "mine"
    assert run(cluster, ["manifest", "raycluster"]) == 0
    assert "kind: RayCluster" in capsys.readouterr().out
    assert run(cluster, ["manifest", "slurm", "-o", str(tmp_path / "no" / "file")]) == 2
    assert run(cluster, ["manifest", "slurm", "--name", "No"]) == 2
    assert run(cluster, ["manifest", "vagrant"]) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_template_is_left_half_filled(kind: str) -> None:
    text = render(kind, MINE)
    assert not re.search(r"\{[{%#]|[%#]\}", text)
    assert "None" not in text
