"""`hbpr similar`: what is like an item, who is like a user, or all of either into a file."""

from typing import Any

import click

from hbpr.cli.options import length_option, model_options

_EPILOG = """\b
Examples:
  hbpr similar studies/ml-1m/20261121-101500-ab12 --item 260 -k 10
  hbpr similar models:/ml-1m@champion --user 42
  hbpr similar models:/ml-1m@champion --all-items -o neighbours.parquet
"""


@click.command(epilog=_EPILOG)
@click.argument("model", metavar="MODEL")
@click.option("--item", "items", multiple=True, metavar="ID", help="An item. May be repeated.")
@click.option("--user", "users", multiple=True, metavar="ID", help="A user. May be repeated.")
@click.option("--all-items", is_flag=True, help="The whole catalogue.")
@click.option("--all-users", is_flag=True, help="Everyone.")
@length_option("How many of each.")
@click.option(
    "--popularity-discount",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 2),
    help="What the most popular item loses in likeness.",
)
@click.option("-o", "--output", metavar="FILE", help="File to write: .parquet, .csv or .jsonl.")
@model_options
def similar(  # noqa: PLR0913 - an option each
    model: str,
    items: tuple[str, ...],
    users: tuple[str, ...],
    all_items: bool,
    all_users: bool,
    k: int,
    popularity_discount: float,
    output: str | None,
    allow: tuple[str, ...],
    tracking_uri: str | None,
) -> None:
    """Show the items most like an item, or the users most like a user.

    MODEL is the folder of a study or of a saved model, the id of a run, or a model in MLflow such
    as models:/NAME@champion. The score of two neighbours is 1 at most; names are shown if the data
    have names.
    """
    from hbpr.errors import ConfigError

    asked = [bool(items), bool(users), all_items, all_users]
    if sum(asked) != 1:
        raise ConfigError(
            "hbpr similar: expected one of --item ID, --user ID, --all-items and --all-users, got "
            f"{sum(asked)} of them"
        )
    if (all_items or all_users) and output is None:
        raise ConfigError("hbpr similar: lists of everything go into a file: add -o FILE")
    from hbpr.inference import load

    loaded = load(model, tracking_uri=tracking_uri, allow=allow)
    if items or all_items:
        table = loaded.similar_items(items or None, k, popularity_discount=popularity_discount)
    else:
        table = loaded.similar_users(users or None, k)
    if output is not None:
        _write(table, output)
        click.echo(f"wrote {len(table):,} rows to {output}", err=True)
    else:
        _show(table, dict(zip(map(str, loaded.items.values), loaded.item_names, strict=False)))


def _write(table: Any, output: str) -> None:
    import pyarrow as pa

    from hbpr.inference.batch.formats import format_of
    from hbpr.places import Place

    place = Place.of(output)
    encode = format_of(place.suffix, output).encode
    place.write(encode(pa.Table.from_pandas(table, preserve_index=False)))


def _show(table: Any, names: dict[str, str]) -> None:
    """Print a table for each item or user that was asked for."""
    side = table.columns[0]
    for given, group in table.groupby(side, sort=False):
        name = names.get(str(given), "") if side == "item" else ""
        click.echo(f"{side} {given}" + (f": {name}" if name else ""))
        for row in group.to_dict("records"):
            told = row.get("similar_item_name", "")
            other = row[f"similar_{side}"]
            click.echo(f"{row['rank']:>4}  {row['score']:6.3f}  {other!s:<12} {told}".rstrip())
