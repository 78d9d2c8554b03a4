"""The state of numpy's default random generator as an array, for checkpoints."""

import numpy as np
from numpy.typing import NDArray


def random_state(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the whole state of a PCG64 generator, half a word left over by a shuffle included."""
    whole = rng.bit_generator.state
    generator = whole["state"]
    halves = (generator["state"], generator["inc"], whole["has_uint32"], whole["uinteger"])
    return np.frombuffer(b"".join(int(value).to_bytes(16, "little") for value in halves), np.uint8)


def load_random_state(rng: np.random.Generator, state: NDArray[np.uint8]) -> None:
    """Put back what `random_state` returned."""
    raw = state.tobytes()
    numbers = [int.from_bytes(raw[k : k + 16], "little") for k in range(0, 64, 16)]
    whole = dict(rng.bit_generator.state)
    whole["state"] = {"state": numbers[0], "inc": numbers[1]}
    whole["has_uint32"], whole["uinteger"] = numbers[2:]
    rng.bit_generator.state = whole
