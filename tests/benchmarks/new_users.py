"""New users over HTTP: NDCG@10 of who was left out of training and recommended from half a history.

500 users of MovieLens 1M are left out of training; each one's positives are parted in two at
random. Half is sent as a history to a running endpoint, and the lists are judged by the other half.
Beside it: the same users trained with that half, and EASE on the same histories, its regularisation
chosen on the validation part.
"""

import argparse
import json
import signal
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
import shapes
from harness import say
from serve_load import _MAIN, started

from hbpr.baselines.choose import choose_values
from hbpr.baselines.ease import EASE
from hbpr.data import Interactions, UserItems, load_data
from hbpr.inference.system import RecommendationSystem
from hbpr.settings import load_trial
from hbpr.training import Trainer

K = 10


def ndcg(lists: list[np.ndarray], held_out: list[np.ndarray]) -> float:
    """Mean NDCG@10, gains of one."""
    gains = 1.0 / np.log2(np.arange(2, K + 2))
    found = [
        (np.isin(listed[:K], wanted) * gains[: len(listed[:K])]).sum()
        / gains[: min(K, len(wanted))].sum()
        for listed, wanted in zip(lists, held_out, strict=True)
    ]
    return float(np.mean(found))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=Path("configs/ml-1m.yaml"))
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    given = parser.parse_args()
    shapes.find_data_home()
    settings = load_trial(given.config, given.overrides)
    data = load_data(settings.data)
    rng = np.random.default_rng(0)
    whole = data.train.union(data.validation)
    able = np.flatnonzero(whole.counts >= 4)
    left = np.sort(rng.choice(able, min(given.users, len(able) // 2), replace=False))
    halves = [rng.permutation(whole.of(user)) for user in left]
    histories = [np.sort(half[: len(half) // 2]) for half in halves]
    held_out = [half[len(half) // 2 :] for half in halves]

    without = _without(data, left, [np.zeros(0, np.int32)] * len(left))
    lists = _over_http(without, settings, histories)
    say(f"new users over HTTP: NDCG@10 {ndcg(lists, held_out):.4f} ({len(left)} users)")

    known = _without(data, left, histories)
    system = RecommendationSystem(_train(known, settings), known, settings)
    table = system.recommend(known.user_ids[left], k=K)
    by_user = dict(iter(table.groupby("user")["item"]))
    rows = {item: row for row, item in enumerate(known.item_ids.tolist())}
    trained = [np.array([rows[i] for i in by_user[u]]) for u in known.user_ids[left]]
    say(f"the same users, trained: NDCG@10 {ndcg(trained, held_out):.4f}")

    values = choose_values(EASE, [data], settings.training)
    ease = EASE.fit(without.train, **values)
    found = []
    for history in histories:
        scores = ease.weights[history].sum(0)
        scores[history] = -np.inf
        found.append(np.argsort(-scores, kind="stable")[:K])
    say(f"EASE on the same histories: NDCG@10 {ndcg(found, held_out):.4f} ({values})")


def _without(data: Interactions, users: np.ndarray, kept: list[np.ndarray]) -> Interactions:
    """The data with only some items of some users; validation and their dislikes are dropped."""
    import dataclasses

    none = UserItems.empty(data.n_users, data.n_items)
    whole = data.train.union(data.validation)
    others = whole.select(~np.isin(whole.users(), users))
    pairs = [(np.full(len(items), user), items) for user, items in zip(users, kept, strict=True)]
    own = UserItems.from_pairs(
        *(np.concatenate(column) for column in zip(*pairs, strict=True)),
        n_users=data.n_users,
        n_items=data.n_items,
    )
    disliked = data.train_negatives
    return dataclasses.replace(
        data,
        train=others.union(own),
        validation=none,
        test=none,
        train_negatives=disliked.select(~np.isin(disliked.users(), users)),
        validation_negatives=none,
        test_negatives=none,
    )


def _train(data: Interactions, settings: object) -> object:
    trainer = Trainer(data, settings)
    for _ in trainer:
        pass
    return trainer.model


def _over_http(
    data: Interactions, settings: object, histories: list[np.ndarray]
) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        RecommendationSystem(_train(data, settings), data, settings).save(f"{folder}/model")
        command = [sys.executable, "-c", _MAIN, "serve", f"{folder}/model", "--port", "0"]
        with started(command, r"at (http://\S+)") as (server, address, _):
            rows = {item: row for row, item in enumerate(data.item_ids.tolist())}
            lists = []
            for start in range(0, len(histories), 20):
                part = [data.item_ids[each].tolist() for each in histories[start : start + 20]]
                body = json.dumps({"users": [{"history": each} for each in part], "k": K})
                request = urllib.request.Request(
                    f"{address}/recommend",
                    body.encode(),
                    {"Content-Type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=600) as answer:
                    found = [each["items"] for each in json.load(answer)]
                lists += [np.array([rows[each["item"]] for each in items]) for items in found]
            server.send_signal(signal.SIGINT)
    return lists


if __name__ == "__main__":
    main()
