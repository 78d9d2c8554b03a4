"""What describes users or items beside themselves: their features without those of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


def described(
    features: sp.csr_matrix, names: Sequence[str], ids: NDArray[Any]
) -> sp.csr_matrix | None:
    """Return features without own ones, each row divided by its length.

    A feature is a row's own where the row alone has it and it is called like the row. Without names
    all features describe.

    Args:
        features: (n, Q) features.
        names: (Q,) names, or none.
        ids: (n,) id of each row.

    Returns:
        (n, Q') float64 rows of length 1, or empty where nothing describes the row; None where
        nothing describes any.
    """
    matrix = sp.csr_matrix(features, dtype=np.float64)
    if len(names) == matrix.shape[1]:
        rows = {str(each): row for row, each in enumerate(ids.tolist())}
        columns = sp.csc_matrix(matrix)
        called = np.fromiter((rows.get(name, -1) for name in names), np.int64, len(names))
        own = (called >= 0) & (np.diff(columns.indptr) == 1)
        own[own] = columns.indices[columns.indptr[:-1][own]] == called[own]
        matrix = sp.csr_matrix(columns[:, ~own])
    if not matrix.nnz:
        return None
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags_array(1.0 / np.where(lengths > 0.0, lengths, 1.0)) @ matrix)
