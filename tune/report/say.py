"""Lines beside the progress of a study, for what takes seconds."""

from rich.console import Console


def say(line: str) -> None:
    """Show a line on stdout."""
    stdout().print(line, highlight=False, soft_wrap=True, markup=False)


def stdout() -> Console:
    """Return what writes lines of text, also in a notebook: rich would show a box for each."""
    console = Console()
    if not console.is_jupyter:
        return console
    return Console(force_jupyter=False, force_terminal=False)
