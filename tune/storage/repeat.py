"""One trial run again with another seed, as a study keeps it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hbpr.files import fresh_file


@dataclass(frozen=True)
class Repeat:
    """One trial run again with another seed.

    Attributes:
        seed: Seed of weights and sampling.
        best_epoch: Epoch that was the best on validation.
        metrics: Validation metrics there.
        users: (n,) users with something held out.
        values: (n,) the study's metric for each of them; NaN where it is not defined.
        curve: Loss and validation metrics of each epoch that was evaluated.
        began_at: When it began, in milliseconds since 1970.
        ended_at: When it ended, likewise.
    """

    seed: int
    best_epoch: int
    metrics: dict[str, float]
    users: NDArray[np.int64]
    values: NDArray[np.float64]
    curve: dict[int, dict[str, float]]
    began_at: int
    ended_at: int

    def save(self, path: Path) -> None:
        """Write it as one npz file."""
        about = {
            "seed": self.seed,
            "best_epoch": self.best_epoch,
            "metrics": self.metrics,
            "curve": list(self.curve.items()),
            "began_at": self.began_at,
            "ended_at": self.ended_at,
        }
        with fresh_file(path) as partial, partial.open("wb") as file:
            np.savez(file, about=np.array(json.dumps(about)), users=self.users, values=self.values)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            about["curve"] = dict(about["curve"])
            return cls(users=file["users"], values=file["values"], **about)
