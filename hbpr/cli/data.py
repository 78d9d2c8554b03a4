"""`hbpr data`: what the data of a settings file are like."""

from pathlib import Path

import click

from hbpr.cli.options import config_argument, set_option


@click.group(
    epilog="""\b
Examples:
  hbpr data describe configs/quickstart.yaml
"""
)
def data() -> None:
    """Look at the data of a settings file."""


@data.command(
    short_help="Users, items, density, degrees, times, what was left out.",
    epilog="""\b
Examples:
  hbpr data describe configs/quickstart.yaml
  hbpr data describe shop.yaml --html shop.html
""",
)
@config_argument
@set_option
@click.option(
    "--html",
    "output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write the page with small plots to.",
)
def describe(config: Path, overrides: tuple[str, ...], output: Path | None) -> None:
    """Read the data of CONFIG and say what they are like. Nothing is trained or recorded."""
    from hbpr.settings import load_trial

    settings = load_trial(config, overrides)

    from hbpr.data.load import read_data

    found = read_data(settings.data).describe()
    click.echo(str(found))
    if output is not None:
        output.write_text(found.to_html(), encoding="utf-8")
        click.echo(f"wrote {output}", err=True)
