"""`hbpr reproduce`: published results measured again, ours beside theirs."""

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  hbpr reproduce --list
  hbpr reproduce ml-100k-75-25
  hbpr reproduce ml-1m-ratings-5 --seeds 5 --output docs
"""
)
@click.argument("name", required=False)
@click.option("--list", "show_list", is_flag=True, help="Name the rows and leave.")
@click.option("--all", "run_all", is_flag=True, help="Run every row.")
@click.option(
    "--seeds",
    type=click.IntRange(min=3),
    help="Trainings of each method, at least 3 for a standard deviation; left out: the row's own.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write the rows' sections of reproductions.md in.",
)
def reproduce(
    name: str | None, show_list: bool, run_all: bool, seeds: int | None, output: Path | None
) -> None:
    """Measure the published result NAME again and print ours beside it.

    From the data to the figure, with the settings in configs/reproductions/NAME.yaml, which were
    chosen on validation. Seeds count from 1.
    """
    from hbpr.reproductions.registry import ROWS, load_row, load_settings

    if (name is not None) + show_list + run_all != 1:
        raise click.UsageError(f"give one of NAME, --list and --all; rows: {', '.join(ROWS)}")
    if show_list:
        width = max(map(len, ROWS))
        for each in ROWS:
            click.echo(f"{each:<{width}}  {load_row(each).title}")
        return

    from hbpr.reproductions.render import to_text, write_report

    names = list(ROWS) if name is None else [name]
    plans = [(load_row(each), load_settings(each)) for each in names]  # slips are reported first
    for row, settings in plans:
        numbers = range(1, 1 + (seeds or row.n_seeds))
        result = row.run(settings, numbers, lambda line: click.echo(line, err=True))
        click.echo(f"{to_text(result)}\n")
        if output is not None:
            click.echo(f"wrote {write_report(result, output, list(ROWS))}", err=True)
