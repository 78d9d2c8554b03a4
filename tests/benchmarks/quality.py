"""Test NDCG@10 on one split, every library tuned by the same number of random trials.

All trials of a library draw from its seeded space below, with d = 64. Training stops by the same
rule for all: validation NDCG@10 is looked at every few epochs, and the best weights are kept. The
best trial's settings are trained again with each seed, and their best weights on validation are
scored on test once. Every evaluation is hbpr's, on exported vectors, so the metric is the same;
test ranks all items but those of train and validation, and nothing is trained on validation.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import harness
import numpy as np
import shapes
from environments import why_missing
from numpy.random import Generator

from hbpr.data.interactions import Interactions
from hbpr.evaluation import ScoreBlock, evaluate

D = 64
METRIC = "ndcg_at_10"


def _log(rng: Generator, low: float, high: float) -> float:
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.4g}")


def _hbpr(rng: Generator) -> dict[str, Any]:
    regs = {f"reg_{side}": _log(rng, 1e-3, 0.05) for side in ("user", "positive", "negative")}
    loss = str(rng.choice(["bpr_loss", "warp_loss", "softmax_loss"]))
    negatives = {
        "bpr_loss": {"hardest_of": int(rng.choice([1, 4, 8]))},
        "warp_loss": {"warp_draws": int(rng.choice([5, 10, 30]))},
        "softmax_loss": {"per_positive": int(rng.choice([4, 8, 16]))},
    }
    return {
        "model": {"n_latent": D, "item_bias": True},
        "optimizer": {"name": "adagrad", "lr": _log(rng, 0.01, 0.2), **regs},
        "training": {"engine": "fused", "loss_function": loss, "negatives": negatives[loss]},
    }


def _implicit(rng: Generator) -> dict[str, Any]:
    return {"d": D, "lr": _log(rng, 0.005, 0.2), "reg": _log(rng, 1e-4, 0.1)}


def _cornac(rng: Generator) -> dict[str, Any]:
    return {**_implicit(rng), "bias": bool(rng.integers(2))}


def _lightfm(rng: Generator) -> dict[str, Any]:
    return {
        "d": D,
        "loss": str(rng.choice(["bpr", "warp"])),
        "lr": _log(rng, 0.005, 0.2),
        "user_alpha": _log(rng, 1e-7, 1e-3),
        "item_alpha": _log(rng, 1e-7, 1e-3),
        "max_sampled": int(rng.choice([5, 10, 30])),
    }


SPACES: dict[str, Callable[[Generator], dict[str, Any]]] = {
    "hbpr": _hbpr,
    "implicit": _implicit,
    "cornac": _cornac,
    "lightfm": _lightfm,
}


@dataclass(frozen=True)
class Rule:
    """When training stops."""

    max_epochs: int
    eval_every: int
    patience: int


@dataclass(frozen=True)
class Fit:
    """One training: its best epoch on validation, and the test value if it was asked for."""

    settings: dict[str, Any]
    best_epoch: int
    epochs: int
    validation: float
    train_cpu_s: float
    test: float | None = None
    failed: str | None = None


class Vectors:
    """A scorer from exported vectors."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.users = np.c_[file["users"], np.ones(len(file["users"]), np.float32)]
            self.items = np.c_[file["items"], file["biases"]].astype(np.float32)

    def block_scorer(self) -> ScoreBlock:
        items = np.ascontiguousarray(self.items.T)
        return lambda users: np.asarray(self.users[users] @ items, np.float32)


def fit(
    library: str,
    settings: dict[str, Any],
    data: Interactions,
    path: Path,
    rule: Rule,
    *,
    on_test: bool = False,
) -> Fit:
    """Train once in a process of its own, watching validation; optionally score test, once."""
    best, best_epoch, best_value, misses = None, 0, -np.inf, 0
    last: dict[str, Any] = {"epoch": 0, "cpu_s": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "vectors.npz"
        request = {
            "data": str(path),
            "settings": {**settings, "epochs": rule.max_epochs},
            "threads": 1,
            "eval_every": rule.eval_every,
            "out": str(out),
        }
        with (Path(folder) / "stderr").open("w+") as errors:
            side = subprocess.Popen(
                harness.command(library, "quality", request),
                env=harness.surroundings(1),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            for last in _answers(side):
                vectors = Vectors(out)
                value = _score(vectors, data, "val")
                if value > best_value:
                    best, best_epoch, best_value, misses = vectors, last["epoch"], value, 0
                else:
                    misses += 1
                over = misses >= rule.patience or last["epoch"] >= rule.max_epochs
                assert side.stdin is not None
                side.stdin.write("stop\n" if over else "go\n")
                side.stdin.flush()
            side.communicate()
            errors.seek(0)
            said = errors.read().strip().splitlines()
    failed = None
    if side.returncode or best is None:
        failed = said[-1] if said else f"exit status {side.returncode}"
    test = _score(best, data, "test") if on_test and best is not None else None
    return Fit(settings, best_epoch, last["epoch"], best_value, last["cpu_s"], test, failed)


def _answers(side: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert side.stdout is not None
    for line in side.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def _score(vectors: Vectors, data: Interactions, part: str) -> float:
    """NDCG@10; -inf where scores are no numbers."""
    if not (np.isfinite(vectors.users).all() and np.isfinite(vectors.items).all()):
        return -np.inf
    validation = part == "val"
    found = evaluate(
        vectors,
        data.validation if validation else data.test,
        exclude=data.train if validation else data.train.union(data.validation),
        top_k=(10,),
        part="val" if validation else "test",
    )
    return found.metrics[f"{'val' if validation else 'test'}/{METRIC}"]


def with_seed(library: str, settings: dict[str, Any], seed: int, **training: Any) -> dict[str, Any]:
    """The same settings with another seed, and for hbpr with other training settings."""
    if library != "hbpr":
        return {**settings, "seed": seed}
    return {**settings, "training": {**settings["training"], **training, "seed": seed}}


def describe(dataset: str, found: dict[str, Any]) -> str:
    """Markdown: a row a library, and the settings that were chosen."""
    rows, chosen, missing = [], [], []
    for name, result in found.items():
        if "missing" in result:
            missing.append(f"- **{name}** is missing: {result['missing']}")
            continue
        tests = [run["test"] for run in result["seeds"] if run["test"] is not None]
        spread = np.std(tests, ddof=1) if len(tests) > 1 else 0.0
        best = result["best"]
        rows.append(
            [
                name,
                f"{np.mean(tests):.4f} ± {spread:.4f}",
                harness.listed(tests, 4),
                f"{best['validation']:.4f}",
                str(len(result["trials"])),
                f"{sum(trial['train_cpu_s'] for trial in result['trials']):.0f}",
                f"{best['best_epoch']} of {best['epochs']}",
            ]
        )
        chosen.append(f"- {name}: `{json.dumps(best['settings'])}`")
    header = [
        dataset,
        "test NDCG@10",
        "each seed",
        "validation, best trial",
        "trials",
        "CPU s of all trials",
        "best epoch",
    ]
    return "\n\n".join(
        part
        for part in (
            f"### {dataset}",
            harness.table(header, rows),
            "Chosen on validation:\n\n" + "\n".join(chosen),
            "\n".join(missing),
        )
        if part
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=shapes.NAMES, default="ml-100k")
    parser.add_argument("--libraries", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--trials", type=int, default=20, help="of every library; default 20")
    parser.add_argument("--seeds", type=int, default=5, help="final fits of every library; 5")
    parser.add_argument("--max-epochs", type=int, default=300)
    parser.add_argument("--eval-every", type=int, default=5, help="epochs; default 5")
    parser.add_argument("--patience", type=int, default=6, help="evaluations without a new best; 6")
    parser.add_argument("--autograd-batch", type=int, default=256, help="batch of autograd; 256")
    parser.add_argument("--seed", type=int, default=0, help="of the random trials")
    parser.add_argument(
        "--jobs", type=int, default=2, help="fits at a time; times suffer, not NDCG"
    )
    parser.add_argument("--output", type=Path, help="JSON file for the report")
    options = parser.parse_args()
    path = shapes.prepare(options.dataset)
    data = shapes.read(path)
    rule = Rule(options.max_epochs, options.eval_every, options.patience)
    found: dict[str, Any] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for library in options.libraries:
            reason = why_missing(library)
            if reason is not None:
                found[library] = {"missing": reason}
                continue
            rng = np.random.default_rng([options.seed, list(SPACES).index(library)])
            points = [SPACES[library](rng) for _ in range(options.trials)]
            trials = []
            for trial in pool.map(lambda p, lib=library: fit(lib, p, data, path, rule), points):
                trials.append(trial)
                harness.say(
                    f"{library} {len(trials)}/{len(points)}: validation {trial.validation:.4f} "
                    f"at epoch {trial.best_epoch}, {trial.train_cpu_s:.1f} CPU s"
                    + (f", {trial.failed}" if trial.failed else "")
                )
            best = max(trials, key=lambda trial: trial.validation)
            if best.best_epoch == 0:
                found[library] = {"missing": f"every trial failed: {best.failed}"}
                continue
            engines = {library: {}}
            if library == "hbpr":
                engines = {
                    "hbpr, fused": {},
                    "hbpr, autograd, same settings": {
                        "engine": "autograd",
                        "batch_size": options.autograd_batch,
                        "device": "cpu",
                    },
                }
            for name, training in engines.items():
                finals = [
                    with_seed(library, best.settings, 1 + seed, **training)
                    for seed in range(options.seeds)
                ]
                runs = pool.map(
                    lambda p, lib=library: fit(lib, p, data, path, rule, on_test=True), finals
                )
                found[name] = {
                    "best": asdict(best),
                    "trials": [asdict(trial) for trial in trials],
                    "seeds": [asdict(run) for run in runs],
                }
                harness.say(f"{name}: {[run['test'] for run in found[name]['seeds']]}")
    text = f"{__doc__.strip()}\n\n{describe(options.dataset, found)}"
    settings = {key: value for key, value in vars(options).items() if key != "output"}
    harness.write(options.output, f"Quality, {options.dataset}", settings, found, text)


if __name__ == "__main__":
    main()
