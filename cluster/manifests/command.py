"""The command `hbpr cluster manifest KIND`: write a manifest with the user's names."""

from pathlib import Path
from typing import Any

import click

from cluster.manifests.render import KINDS, Names, render
from hbpr.errors import ConfigError

_DEFAULT = Names()


@click.group(
    "cluster",
    epilog="""\b
Examples:
  hbpr cluster manifest raycluster --workers 8
  hbpr cluster manifest --help
""",
)
def cluster() -> None:
    """Write what starts a cluster for hbpr."""


@cluster.command(
    "manifest",
    epilog="\b\nKinds:\n"
    + "\n".join(f"  {name:<11} {kind.help}" for name, kind in KINDS.items())
    + """
\b
Examples:
  hbpr cluster manifest rayjob --image registry.example.org/hbpr:1.0 --workers 8 -o rayjob.yaml
  hbpr cluster manifest rayjob --storage s3://lab/studies --config configs/ml-1m.yaml
  hbpr cluster manifest slurm --config configs/ml-1m.yaml --workers 3 | sbatch
""",
)
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File; default: stdout.")
@click.option("--name", default=_DEFAULT.name, show_default=True, help="Name of the cluster.")
@click.option("--image", default=_DEFAULT.image, show_default=True, help="Image of the nodes.")
@click.option("--config", default=_DEFAULT.config, show_default=True, help="Settings of the study.")
@click.option(
    "--shared", default=_DEFAULT.shared, show_default=True, help="Folder that all nodes share."
)
@click.option(
    "--storage", help="Where studies are kept, as s3://BUCKET/FOLDER. Default: SHARED/studies."
)
@click.option("--tracking-uri", default=_DEFAULT.tracking_uri, show_default=True, help="MLflow.")
@click.option(
    "--workers",
    default=_DEFAULT.workers,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Most workers.",
)
@click.option(
    "--cpus",
    default=_DEFAULT.cpus,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="CPUs of a worker.",
)
@click.option(
    "--gpus",
    default=_DEFAULT.gpus,
    show_default=True,
    type=click.IntRange(0, 64),
    help="GPUs of a worker.",
)
@click.option(
    "--memory-gib",
    default=_DEFAULT.memory_gib,
    show_default=True,
    type=click.IntRange(2, 65536),
    help="Memory of a node.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=_DEFAULT.hosts,
    show_default=True,
    help="A host of an on-premise cluster, the head first; once for each.",
)
def manifest(kind: str, output: Path | None, **names: Any) -> None:
    """Write a manifest of KIND, with names of your own."""
    text = render(kind, Names(**names))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise ConfigError(f"-o {output}: cannot be written: {error.strerror or error}") from error
    click.echo(f"wrote {output}", err=True)
