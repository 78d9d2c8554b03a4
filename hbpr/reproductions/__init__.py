"""Published results, reproduced: from the data to the figure, ours beside theirs.

A row is one published comparison. To add the row NAME:

1. ``configs/reproductions/NAME.yaml``: the data, the split and the settings that were chosen on
   validation; its ``sweep`` section is the search that chose them, so that
   ``hbpr tune configs/reproductions/NAME.yaml`` chooses again.
2. ``hbpr/reproductions/your_module.py`` with ``ROW``, a `Row`: what was published and where, the
   bars, and ``measure``, a function ``(settings, seeds, say) -> tuple[Figures, ...]``. Most call
   `hbpr.reproductions.seeds.train_seeds` and `Figures.of`.
3. One line in `hbpr.reproductions.registry.ROWS`.
4. ``hbpr reproduce NAME --output docs``, which writes the row's section of
   ``docs/reproductions.md`` and leaves the others as they are.

Settings and epochs are chosen on validation; ``measure`` scores test once for each seed.
"""

from hbpr.reproductions.registry import ROWS, load_row
from hbpr.reproductions.row import Band, Figures, Order, Published, Result, Row

__all__ = ["ROWS", "Band", "Figures", "Order", "Published", "Result", "Row", "load_row"]
