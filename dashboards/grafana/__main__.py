"""Write the dashboards into a folder: ``python -m dashboards.grafana FOLDER``."""

from pathlib import Path

import click

from dashboards.grafana import write_dashboards
from hbpr.cli.main import leave, run
from hbpr.errors import ConfigError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
def main(folder: Path) -> None:
    """Write the Grafana dashboards of studies and nodes into FOLDER, to import or provision."""
    try:
        written = write_dashboards(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    for path in written:
        click.echo(path)


if __name__ == "__main__":
    leave(run(main, prog_name="python -m dashboards.grafana"))
