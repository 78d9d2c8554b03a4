"""implicit's model behind FastAPI, as people write it: started with a port and a number of workers.

``PEER_FILES`` names a folder with the vectors, what users have seen, and the ids.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit warns where it is not

import numpy as np
import scipy.sparse as sp
import uvicorn
from fastapi import FastAPI, HTTPException
from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase

app = FastAPI()
if "PEER_FILES" in os.environ:
    folder = Path(os.environ["PEER_FILES"])
    with np.load(folder / "model.npz") as file:
        users, items = file["users"], file["items"]
        seen = sp.csr_matrix(
            (np.ones(len(file["indices"]), np.float32), file["indices"], file["indptr"]),
            shape=(len(users), len(items)),
        )
    user_ids, item_ids = json.loads((folder / "ids.json").read_text())
    rows = {str(user): row for row, user in enumerate(user_ids)}

    class Model(MatrixFactorizationBase):
        """Vectors that were trained elsewhere."""

        def fit(self, *_: object, **__: object) -> None:
            """Nothing is trained."""

        def save(self, *_: object) -> None:
            """Nothing is saved."""

    model = Model(num_threads=1)
    model.user_factors, model.item_factors = users, items


@app.get("/health")
def health() -> dict[str, str]:
    """Say that it answers."""
    return {"status": "ok"}


@app.get("/recommend/{user}")
def recommend(user: str, k: int = 10) -> dict[str, object]:
    """Return a user's best items."""
    row = rows.get(user)
    if row is None:
        raise HTTPException(404)
    found, scores = model.recommend(row, seen[row], N=k)
    return {
        "user": user,
        "items": [
            {"item": item_ids[item], "score": float(score)}
            for item, score in zip(found, scores, strict=True)
        ],
    }


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    uvicorn.run("serve_implicit:app", port=port, workers=workers, access_log=False)
