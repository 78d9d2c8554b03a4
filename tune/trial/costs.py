"""What serving a trial's model takes: memory of the item vectors, and time to score.

Neither depends on what the weights are, so a trial measures them once, at its first evaluation.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from hbpr.names import ITEM_VECTOR_BYTES, SCORE_CPU_MS

if TYPE_CHECKING:
    from hbpr.models import Recommender

#: Users in a block; rounds, of which the fastest counts; CPU seconds of a round, at least.
_USERS: Final = 32
_ROUNDS: Final = 5
_ROUND_S: Final = 0.01


def measure_costs(model: "Recommender", names: Sequence[str]) -> dict[str, float]:
    """Measure some of the costs of a model on a CPU.

    Args:
        model: What would be served.
        names: Of `hbpr.names.COSTS`.

    Returns:
        Values by name.
    """
    ways = {ITEM_VECTOR_BYTES: item_vector_bytes, SCORE_CPU_MS: score_cpu_ms}
    return {name: float(ways[name](model)) for name in names}


def item_vector_bytes(model: "Recommender") -> int:
    """Return the bytes of all item vectors as they are served: items x size x 4."""
    return int(model.item_vectors().astype(np.float32, copy=False).nbytes)


def score_cpu_ms(model: "Recommender") -> float:
    """Return the milliseconds of CPU time to score the whole catalogue for one user.

    Users are scored in blocks, and what all share is prepared beforehand, as in serving. CPU time,
    summed over threads, because a trial has neighbours: they make it wait, and waiting is not
    counted. They also share caches and memory; so the fastest of some rounds is taken.
    """
    users = np.arange(min(model.n_users, _USERS))
    score = model.block_scorer()
    score(users)
    calls, rounds = 1, list[float]()
    while len(rounds) < _ROUNDS:
        began = time.process_time()
        for _ in range(calls):
            score(users)
        spent = time.process_time() - began
        if spent < _ROUND_S:
            calls *= 2
        else:
            rounds.append(spent / calls)
    return 1000.0 * min(rounds) / len(users)
