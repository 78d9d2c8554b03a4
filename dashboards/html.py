"""Pages as single HTML files that need nothing beside them, from templates in `templates/`."""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template


def render(template: str, **content: Any) -> str:
    """Return a page; what is put into it is escaped.

    Args:
        template: Name of a file in `templates/`.
        content: What the template names.
    """
    return load_template(template).render(**content).strip() + "\n"


def load_template(template: str) -> "Template":
    """Return a template, compiled once."""
    return _environment().get_template(template)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("dashboards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
