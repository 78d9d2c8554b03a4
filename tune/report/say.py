"""Lines beside the progress of a study, for what takes seconds."""

from rich.console import Console


def say(line: str) -> None:
    """Show a line on stdout."""
    Console().print(line, highlight=False, soft_wrap=True, markup=False)
