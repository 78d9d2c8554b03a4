"""`hbpr completion`: what a shell needs to complete commands, options, files and settings."""

import click

_WHERE = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/hbpr.fish",
}


@click.command(
    epilog="""\b
Examples:
  hbpr completion bash >> ~/.bashrc
  hbpr completion zsh >> ~/.zshrc
  hbpr completion fish > ~/.config/fish/completions/hbpr.fish
\b
Start a new shell, then: hbpr tu<Tab>
""",
)
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the lines that let SHELL complete hbpr's commands, options, files and settings."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = ctx.find_root()
    click.echo(found(root.command, {}, "hbpr", "_HBPR_COMPLETE").source())
