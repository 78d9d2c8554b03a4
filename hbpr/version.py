"""The version, below everything that records it; the package's metadata are read from here."""

from typing import Final

__version__: Final = "0.1.0"
