"""`hbpr warmup`: compile ahead, for an image or a new node."""

import click


@click.command(
    epilog="""\b
Examples:
  hbpr warmup
\b
In a Dockerfile, after hbpr is installed (build on the kind of processor that will run it):
  RUN hbpr warmup
""",
)
def warmup() -> None:
    """Compile the training loops for this machine, so that no study waits for that.

    What is compiled already is not compiled again. Another processor, hbpr or Numba compiles anew,
    by itself.
    """
    from hbpr.training.warmup import cache_folder, is_compiled, warm_up

    if is_compiled():
        click.echo(f"compiled already, in {cache_folder()}")
        return
    click.echo("compiling once for this machine")
    warm_up(lambda line: click.echo(f"  {line}"))
    click.echo(f"done, kept in {cache_folder()}")
