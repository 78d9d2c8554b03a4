"""`hbpr recommend`: lists for many users into a file."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hbpr.cli.options import length_option, model_options

if TYPE_CHECKING:
    from collections.abc import Callable

_EPILOG = """\b
Examples:
  hbpr recommend studies/shop/20261121-101500-ab12 -o recs.parquet
  hbpr recommend models:/shop@champion --users customers.csv -k 20 -o recs.csv
  hbpr recommend models:/shop@champion -o s3://bucket/recs.parquet --address HOST:6379
\b
The file appears once it is whole. Interrupted, the same command goes on where it was.
"""


@click.command(epilog=_EPILOG)
@click.argument("model", metavar="MODEL")
@click.option(
    "--users",
    default="all",
    show_default=True,
    metavar="FILE|all",
    help="Ids of users: CSV, JSON lines or Parquet with a column user, or text with one a line.",
)
@length_option("Items for each.")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help="File to write: .parquet, .csv or .jsonl; here or in a store (s3://BUCKET/NAME).",
)
@click.option("--include-seen", is_flag=True, help="Do not leave out what users have seen.")
@click.option("--allow-items", metavar="FILE", help="List only items of this file.")
@click.option("--deny-items", metavar="FILE", help="List no items of this file.")
@click.option(
    "--item-feature",
    "item_features",
    multiple=True,
    metavar="NAME",
    help="List only items with this feature. May be repeated: one of them.",
)
@click.option(
    "--diversity",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="How much likeness to what stands above counts against the score.",
)
@click.option(
    "--popularity-discount",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 10),
    help="What the most popular item loses, in standard deviations of a user's scores.",
)
@click.option("--address", metavar="HOST:PORT", help="Ray cluster to share the work out on.")
@model_options
def recommend(  # noqa: PLR0913 - an option each
    model: str,
    users: str,
    k: int,
    output: str,
    include_seen: bool,
    allow_items: str | None,
    deny_items: str | None,
    item_features: tuple[str, ...],
    diversity: float,
    popularity_discount: float,
    address: str | None,
    allow: tuple[str, ...],
    tracking_uri: str | None,
) -> None:
    """Write the best items of many users into a file.

    MODEL is the folder of a study or of a saved model, the id of a run, or a model in MLflow such
    as models:/NAME@champion. A row is a user, an item, its rank and score, and the item's name if
    the data have names. Users who are not known are counted, and listed in FILE.unknown.txt.
    """
    from hbpr.inference.batch.id_files import read_ids
    from hbpr.inference.batch.job import run, want
    from hbpr.inference.loaded import LoadedModel
    from hbpr.inference.locate import find_model
    from hbpr.inference.options import ListOptions

    with tempfile.TemporaryDirectory(prefix="hbpr-model-") as temporary:
        located = find_model(model, Path(temporary), tracking_uri)
        loaded = LoadedModel.read(located.folder, allow=allow)
        options = ListOptions(
            k=k,
            exclude_seen=not include_seen,
            allow_items=None if allow_items is None else read_ids(allow_items, "item"),
            deny_items=() if deny_items is None else read_ids(deny_items, "item"),
            item_features=item_features,
            diversity=diversity,
            popularity_discount=popularity_discount,
        )
        asked = None if users == "all" else read_ids(users, "user")
        wanted = want(loaded, asked, output, options)
        begin = time.monotonic()
        with _progress("parts" if address else "users") as progress:
            if address:
                from cluster.batch.on_ray import run_on_ray

                run_on_ray(located.folder, wanted, address, allow, progress)
            else:
                run(loaded, wanted, progress)
    click.echo(
        f"wrote the lists of {len(wanted.rows):,} users to {wanted.out.told} "
        f"in {time.monotonic() - begin:.1f} s",
        err=True,
    )
    if wanted.unknown:
        _tell_unknown(wanted)


def _tell_unknown(wanted: Any) -> None:
    from hbpr.inference.batch.job import unknown_file

    shown = ", ".join(repr(str(each)) for each in wanted.unknown[:5])
    more = ", ..." if len(wanted.unknown) > 5 else ""
    click.echo(
        f"{len(wanted.unknown):,} users are not known to the model and have no list "
        f"({shown}{more}); all of them: {unknown_file(wanted).told}",
        err=True,
    )


@contextmanager
def _progress(unit: str) -> "Iterator[Callable[[int, int], None]]":
    """A bar on a terminal; elsewhere a line for each tenth."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(
            BarColumn(), MofNCompleteColumn(), unit, TimeRemainingColumn(), console=console
        ) as bar:
            task = bar.add_task(unit)
            yield lambda done, n: bar.update(task, completed=done, total=n)
        return
    told = -1

    def tell(done: int, n: int) -> None:
        nonlocal told
        tenth = 10 * done // max(1, n)
        if tenth > told:
            told = tenth
            click.echo(f"{done:,} of {n:,} {unit}", err=True)

    yield tell
