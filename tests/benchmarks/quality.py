"""Test NDCG@10 on one split, every library tuned by the same number of random trials.

All trials of a library draw from its seeded space below, with d = 64; ALS and listwise training,
which gain by larger vectors, draw theirs. Training stops by the same
rule for all: validation NDCG@10 is looked at every few epochs, and the best weights are kept. The
best trial's settings are trained again with each seed, and their best weights on validation are
scored on test once. Every evaluation is hbpr's, on exported vectors, so the metric is the same;
test ranks all items but those of train and validation, and nothing is trained on validation.
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import harness
import numpy as np
import shapes
from environments import why_missing
from numpy.random import Generator
from watch import Look, SideFailedError, looks, score

from hbpr.data.interactions import Interactions

D = 64
#: Sizes of those sides that gain by larger vectors.
SIZES = (64, 128, 256)


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


def _listwise(rng: Generator) -> dict[str, Any]:
    negatives = {
        "kind": "all",
        "block_users": int(rng.choice([64, 128, 256])),
        "top_weight": int(rng.choice([0, 20])),
    }
    return {
        "model": {
            "n_latent": int(rng.choice(SIZES)),
            "similarity": "cosine",
            "temperature": _log(rng, 0.1, 0.3),
            "init_std": 1.0,
        },
        "optimizer": {
            "name": "adam",
            "lr": _log(rng, 5e-3, 0.1),
            **dict.fromkeys(("reg_user", "reg_positive", "reg_negative"), 0.0),
        },
        "training": {"loss_function": "softmax_loss", "negatives": negatives},
    }


def _als(rng: Generator) -> dict[str, Any]:
    return {
        "model": "als",
        "d": int(rng.choice(SIZES)),
        "reg": _log(rng, 0.1, 100.0),
        "alpha": _log(rng, 0.3, 30.0),
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
    "hbpr listwise": _listwise,
    "implicit": _implicit,
    "implicit ALS": _als,
    "cornac": _cornac,
    "lightfm": _lightfm,
}


def library_of(name: str) -> str:
    """The library of a side, such as implicit of ``implicit ALS``."""
    return name.split()[0]


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
    last: Look | None = None
    failed = None
    running = looks(
        library_of(library),
        settings,
        path,
        max_epochs=rule.max_epochs,
        eval_every=rule.eval_every,
    )
    try:
        for last in running:
            value = score(last.vectors, data, "val")
            if value > best_value:
                best, best_epoch, best_value, misses = last.vectors, last.epoch, value, 0
            else:
                misses += 1
            if misses >= rule.patience or last.epoch >= rule.max_epochs:
                break
    except SideFailedError as error:
        failed = str(error)
    finally:
        running.close()
    if best is None and failed is None:
        failed = "scores are no numbers" if last else "it trained no epoch"
    epochs, cpu_s = (last.epoch, last.cpu_s) if last else (0, 0.0)
    test = score(best, data, "test") if on_test and best is not None else None
    return Fit(settings, best_epoch, epochs, best_value, cpu_s, test, failed)


def with_seed(library: str, settings: dict[str, Any], seed: int, **training: Any) -> dict[str, Any]:
    """The same settings with another seed, and for hbpr with other training settings."""
    if library_of(library) != "hbpr":
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
            reason = why_missing(library_of(library))
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
