"""A figure that shows, draws and saves itself."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dashboards.marks import Description, thinned
from hbpr.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.figure import Figure as PaperFigure
    from plotly.graph_objects import Figure as PageFigure

#: Files that `Picture.save` writes.
SUFFIXES: Final = (".png", ".svg", ".pdf", ".html")


@dataclass(frozen=True)
class Picture(Description):
    """A figure: what is drawn, and what to know of it."""

    def to_matplotlib(self) -> "PaperFigure":
        """Return it as a figure for papers; change and save it as any other."""
        from dashboards.paper import draw

        return draw(self)

    def to_plotly(self) -> "PageFigure":
        """Return it as a figure for pages and notebooks."""
        from dashboards.pages import figure_of

        return figure_of(self)

    def save(self, path: "str | PathLike[str]") -> Path:
        """Write it to a file by its suffix: .png, .svg, .pdf, or .html that needs nothing beside.

        Raises:
            ConfigError: The suffix is none of these, or there is no such folder.
        """
        target = checked_target(path, SUFFIXES)
        if target.suffix.lower() == ".html":
            page = self.to_plotly().to_html(include_plotlyjs=True, full_html=True)
            target.write_text(page, encoding="utf-8")
        else:
            self.to_matplotlib().savefig(target, dpi=150)
        return target

    def thinned(self, most: int) -> "Picture":
        """Return it with at most about `most` lines and points of a kind, evenly chosen.

        Marks that stand for one run alone, such as the best one, stay.
        """
        panels, left_out = [], 0
        for panel in self.panels:
            marks = []
            for mark in panel.marks:
                thin, lost = thinned(mark, most)
                marks.append(thin)
                left_out = max(left_out, lost)
            panels.append(replace(panel, marks=tuple(marks)))
        if not left_out:
            return self
        caption = f"{self.caption} Of each kind {most:,} evenly chosen runs are drawn here."
        return replace(self, panels=tuple(panels), caption=caption)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show it in notebooks: live where they can, else as an image."""
        import io

        image = io.BytesIO()
        self.to_matplotlib().savefig(image, format="png", dpi=110)
        bundle: dict[str, Any] = {
            "image/png": image.getvalue(),
            "text/plain": f"{self.title}. {self.caption}",
        }
        with contextlib.suppress(ImportError, ValueError):  # no plotly in notebooks: the image
            bundle |= self.to_plotly()._repr_mimebundle_()
        return bundle


def checked_target(path: "str | PathLike[str]", suffixes: Sequence[str]) -> Path:
    """Return a file that may be written.

    Raises:
        ConfigError: Its suffix is another one, or there is no such folder.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        raise ConfigError(f"{target}: expected a file ending in {', '.join(suffixes)}")
    if not target.absolute().parent.is_dir():
        raise ConfigError(f"{target}: there is no folder {target.absolute().parent}")
    return target
