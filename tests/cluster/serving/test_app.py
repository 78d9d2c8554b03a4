"""The HTTP application, asked over a socket."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import uvicorn

from cluster.serving.app import create_app
from hbpr.data import UserItemData
from hbpr.inference.system import RecommendationSystem
from hbpr.models import build_model
from hbpr.settings.models import MfSettings, SplitSettings, TrialSettings

Ask = Callable[..., tuple[int, Any]]


def make_system(name: Callable[[int], Any]) -> RecommendationSystem:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((20, 15)) < 0.5)
    data = UserItemData("toy")
    data.add_positive_interactions([name(u) for u in users], [name(10 * i) for i in items])
    interactions = data.to_interactions(SplitSettings(train=0.6, validation=0.2))
    settings = TrialSettings(model=MfSettings(n_latent=8, init_std=1.0))
    model = build_model(settings.model, interactions, seed=0)
    return RecommendationSystem(model, interactions, settings, {"val/ndcg_at_10": 0.25})


@contextmanager
def served(system: RecommendationSystem) -> Iterator[Ask]:
    """Run the application in a thread; yields (path, body=None) -> (status, answer)."""
    server = uvicorn.Server(uvicorn.Config(create_app(system), log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)

        def ask(path: str, body: Any = None) -> tuple[int, Any]:
            request = urllib.request.Request(base + path)
            if body is not None:
                request.data = json.dumps(body).encode()
                request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        try:
            yield ask
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def system() -> RecommendationSystem:
    return make_system(int)


@pytest.fixture(scope="module")
def ask(system: RecommendationSystem) -> Iterator[Ask]:
    with served(system) as asked:
        yield asked


def expected(system: RecommendationSystem, user: Any, **options: Any) -> list[dict[str, Any]]:
    return system.recommend([user], **options).drop(columns="user").to_dict("records")


@pytest.mark.parametrize("seen", [True, False])
def test_a_users_list_is_the_systems(ask: Ask, system: RecommendationSystem, seen: bool) -> None:
    status, answer = ask(f"/recommend/3?k=4&exclude_seen={str(seen).lower()}")
    assert status == 200
    assert answer["user"] == 3
    wanted = expected(system, 3, k=4, exclude_seen=seen)
    assert [(i["item"], i["rank"]) for i in answer["items"]] == [
        (row["item"], row["rank"]) for row in wanted
    ]
    assert [i["score"] for i in answer["items"]] == pytest.approx([r["score"] for r in wanted])


def test_several_users_are_answered_in_the_order_asked(
    ask: Ask, system: RecommendationSystem
) -> None:
    status, answer = ask("/recommend", {"users": [7, "3", 7], "k": 2})
    assert status == 200
    assert [each["user"] for each in answer] == [7, 3, 7]
    assert answer[0] == answer[2] == ask("/recommend/7?k=2")[1]


def test_similar_items_are_the_systems_and_leave_the_item_out(
    ask: Ask, system: RecommendationSystem
) -> None:
    status, answer = ask("/similar/30?k=1000")
    assert status == 200
    table = system.similar_items([30], k=1000)
    assert [each["item"] for each in answer["items"]] == table["similar_item"].tolist()
    assert len(answer["items"]) == 14
    assert all(abs(each["score"]) <= 1.0 + 1e-6 for each in answer["items"])


def test_popular_neighbours_are_discounted_on_request(
    ask: Ask, system: RecommendationSystem
) -> None:
    table = system.similar_items([30], k=1000, popularity_discount=0.4)
    _, answer = ask("/similar/30?k=1000&popularity_discount=0.4")
    assert [each["item"] for each in answer["items"]] == table["similar_item"].tolist()
    assert [i["score"] for i in answer["items"]] == pytest.approx(table["score"], abs=1e-6)
    assert ask("/similar/30?k=1000")[1] != answer


def test_the_default_is_ten_unseen_items(ask: Ask, system: RecommendationSystem) -> None:
    _, answer = ask("/recommend/0")
    assert [i["item"] for i in answer["items"]] == [r["item"] for r in expected(system, 0)]


def test_health_and_info(ask: Ask) -> None:
    assert ask("/health") == (200, {"status": "ok"})
    status, info = ask("/info")
    assert (status, info["dataset"], info["n_users"], info["n_items"]) == (200, "toy", 20, 15)
    assert info["settings"]["model"]["n_latent"] == 8
    assert info["metrics"] == {"val/ndcg_at_10": 0.25}
    assert "mlflow" not in info["settings"]  # a tracking address may hold a password


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/recommend/999", None, "unknown user '999': not among the 20 users"),
        ("/recommend/anna", None, "unknown user 'anna'"),
        ("/recommend", {"users": [1, 998, 999]}, "unknown user '998', '999'"),
        ("/similar/5", None, "unknown item '5': not among the 15 items"),
    ],
)
def test_an_unknown_id_is_404_with_its_name(ask: Ask, path: str, body: Any, named: str) -> None:
    status, answer = ask(path, body)
    assert status == 404
    assert named in answer["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recommend/3?k=0", None),
        ("/recommend/3?k=1001", None),
        ("/recommend/3?k=many", None),
        ("/similar/30?k=-1", None),
        ("/similar/30?popularity_discount=-0.1", None),
        ("/recommend", {"users": []}),
        ("/recommend", {"users": [1], "k": 0}),
        ("/recommend", {"users": [1], "top": 5}),
        ("/recommend", {"users": [1] * 1001}),
    ],
)
def test_bad_values_are_422(ask: Ask, path: str, body: Any) -> None:
    status, answer = ask(path, body)
    assert status == 422
    assert answer["detail"]


def test_ids_of_text_may_hold_slashes_spaces_and_umlauts() -> None:
    system = make_system(lambda i: f"Jörg/{i} x")
    with served(system) as ask:
        user, item = system.data.user_ids[3], system.data.item_ids[2]
        assert ask(f"/recommend/{quote(user, safe='')}?k=1")[1]["user"] == user
        assert ask(f"/recommend/{quote(user)}?k=1")[1]["user"] == user
        assert ask(f"/similar/{quote(item, safe='')}")[1]["item"] == item


def test_vectors_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    system = make_system(int)
    calls = []
    for name in ("block_scorer", "item_vectors"):
        original = getattr(system.model, name)
        monkeypatch.setattr(
            system.model, name, lambda original=original: calls.append(0) or original()
        )
    with served(system) as ask:
        at_start = len(calls)
        for user in range(3):
            ask(f"/recommend/{user}")
            ask("/similar/10")
    assert len(calls) == at_start
