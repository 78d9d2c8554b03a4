"""`hbpr config`: check a settings file without running it, or write the schema for editors."""

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import click

from hbpr.cli.options import config_argument, set_option
from hbpr.hidden import check_not_hidden


@click.group(
    epilog="""\b
Examples:
  hbpr config check configs/ml-100k.yaml
  hbpr config schema -o hbpr.schema.json
"""
)
def config() -> None:
    """Check a settings file, or print the schema that editors read."""


@config.command(
    short_help="Check every key, every value and the search space.",
    epilog="""\b
Examples:
  hbpr config check configs/ml-100k.yaml
  hbpr config check configs/ml-100k.yaml --set sweep.num_trials=8
""",
)
@config_argument
@set_option
@click.option("--data", "with_data", is_flag=True, help="Read the data as well, and describe them.")
def check(config: Path, overrides: tuple[str, ...], with_data: bool) -> None:
    """Check CONFIG: every key, every value, and every end of the search space.

    Nothing is downloaded, trained or recorded, and no data are read unless --data asks for it. Exit
    code 0 if all is well, 2 if not.
    """
    from hbpr.settings import load_trial, load_yaml

    is_study = "sweep" in load_yaml(config).data or any(
        text.startswith(("sweep.", "sweep=")) for text in overrides
    )
    if is_study:
        # The search is a layer above: it is looked up by name, when it is there to be checked.
        check_not_hidden("tune")
        plan = importlib.import_module("tune.settings").load_study(config, overrides)
        settings = plan.settings
        what = f"a study of {plan.n_trials} trials over {len(plan.space.dimensions)} settings"
    else:
        settings = load_trial(config, overrides)
        what = "one training run"
    data = settings.data
    source = data.source if data.name == data.source else f"{data.source} {data.name}"
    click.echo(f"{config}: ok, {what} on {source}, experiment {settings.mlflow.experiment_name}")
    if with_data:
        from hbpr.data.load import read_data

        found = read_data(data)
        found.to_interactions(data.split, candidates=data.candidates)  # warns of thin parts
        click.echo(str(found.describe()))


@config.command(
    short_help="Write the JSON schema that editors read.",
    epilog="""\b
Examples:
  hbpr config schema -o hbpr.schema.json
\b
Editors with the YAML language server check a file that starts with
  # yaml-language-server: $schema=hbpr.schema.json
""",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write."
)
def schema(output: Path | None) -> None:
    """Write the JSON schema of a settings file, so that editors check and complete it."""
    text = json.dumps(_json_schema(), indent=2)
    if output is None:
        click.echo(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        click.echo(f"wrote {output}", err=True)


def _json_schema() -> dict[str, Any]:
    """Return the schema of a study file; its ``sweep`` may be absent, or in the short form."""
    from hbpr.settings import Settings, TrialSettings

    model: type[Settings] = TrialSettings
    if importlib.util.find_spec("tune"):
        check_not_hidden("tune")
        model = importlib.import_module("tune.settings").StudySettings
    document = model.model_json_schema()
    document.pop("required", None)
    sections = document["properties"]
    if "sweep" in sections:
        short = {
            "type": "object",
            "description": "A grid: dotted setting -> list of values.",
            "patternProperties": {"[.]": {}},
            "additionalProperties": False,
            "minProperties": 1,
        }
        sections["sweep"] = {"anyOf": [sections["sweep"], short]}
    heading = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**heading, **document, "title": "hbpr settings"}
