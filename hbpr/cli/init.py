"""`hbpr init`: a commented study file to begin with."""

from pathlib import Path

import click

from hbpr.errors import ConfigError

_TABLE = "table"


@click.command(
    epilog="""\b
Examples:
  hbpr init                               # quickstart.yaml: generated data, a minute
  hbpr init ml-100k -o films.yaml         # or another file that comes with hbpr
  hbpr init table plays.csv               # plays.yaml, from the columns of your table
  hbpr init table logs/*.parquet -o logs.yaml
  hbpr init table sales.csv --user Kunde --item Artikel
""",
)
@click.argument("kind", default="quickstart", metavar="[NAME | table]")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. Default: the name, or that of the table, with .yaml in this folder.",
)
@click.option("--user", metavar="COLUMN", help="table: the column of the user ids.")
@click.option("--item", metavar="COLUMN", help="table: the column of the item ids.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(
    kind: str,
    files: tuple[str, ...],
    output: Path | None,
    user: str | None,
    item: str | None,
    force: bool,
) -> None:
    """Write a study file to begin with, with a comment on each line.

    NAME is one of the files that come with hbpr (quickstart if it is left out). With `table`, FILE
    is your own: CSV, Parquet, packed or not. Its columns are looked at, and what each seems to mean
    is written down with the reason, for you to correct.
    """
    from hbpr.files import write_text

    name, text = _table_file(files, user, item) if kind == _TABLE else _shipped(kind, files)
    target = output or Path(name)
    if target.exists() and not force:
        raise ConfigError(
            f"{target} is there already and is not written over. Name another with -o FILE, or "
            "add --force"
        )
    if not target.parent.is_dir():
        raise ConfigError(f"-o {target}: there is no folder {target.parent}; make it first")
    write_text(target, text)
    click.echo(f"wrote {target}. Look at it, then:\n")
    if kind == _TABLE:
        click.echo(f"  hbpr data describe {target}    # what the data are like")
    click.echo(
        f"  hbpr config check {target}     # every setting and end of the space\n"
        f"  hbpr tune {target} --dry-run   # memory and time, from one short trial\n"
        f"  hbpr tune {target}             # the search"
    )


def _shipped(name: str, files: tuple[str, ...]) -> tuple[str, str]:
    """Return the file to write by default, and its text, with the commands that it names."""
    from hbpr.settings.shipped import find_shipped, shipped_names
    from hbpr.words import did_you_mean

    found = find_shipped(name)
    if files:
        raise ConfigError(
            f"init: files go with table, got {name!r} and {files[0]}. Write: hbpr init table "
            f"{' '.join(files)}"
        )
    if found is None:
        hint = f" For a table of your own: hbpr init table {name}" if Path(name).exists() else ""
        listed = f" There are {', '.join(shipped_names())}, and table"
        raise ConfigError(
            f"init: nothing is called {name!r}."
            + (hint or did_you_mean(name, [*shipped_names(), _TABLE], listed))
        )
    target = found.name
    text = found.read_text(encoding="utf-8")
    return target, text.replace(f"configs/{target}", target)


def _table_file(files: tuple[str, ...], user: str | None, item: str | None) -> tuple[str, str]:
    from hbpr.cli.study_file import study_file
    from hbpr.data.guess import guess_roles, look, propose, with_role_names

    if not files:
        raise ConfigError("init table: name the file, for example: hbpr init table plays.csv")
    sample = look(files)
    sample, roles = with_role_names(sample, guess_roles(sample, user=user, item=item))
    name = Path(files[0].rstrip("/*?")).name.split(".")[0] or _TABLE
    return f"{name}.yaml", study_file(name, sample, roles, propose(sample, roles))
