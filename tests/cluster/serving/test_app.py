"""The application: what it answers, and how it refuses."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from cluster.serving import schemas
from cluster.serving.app import create_app
from cluster.serving.holder import Holder, Serving
from cluster.serving.shortcut import Checked
from hbpr.inference import loaded
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.options import ListOptions
from hbpr.inference.system import RecommendationSystem

from .conftest import Ask, asking, load_system, make_system


@pytest.fixture(scope="module")
def ask(model: LoadedModel) -> Ask:
    return asking(create_app(model))


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
    assert [i["score"] for i in answer["items"]] == pytest.approx(
        [r["score"] for r in wanted], rel=1e-4
    )
    assert [i["name"] for i in answer["items"]] == [f"Thing {r['item'] // 10}" for r in wanted]


def test_several_users_are_answered_in_the_order_asked(
    ask: Ask, system: RecommendationSystem
) -> None:
    status, answer = ask("/recommend", {"users": [7, "3", 7], "k": 2})
    assert status == 200
    assert [each["user"] for each in answer] == [7, 3, 7]
    assert answer[0] == answer[2] == ask("/recommend/7?k=2")[1]
    everyone = ask("/recommend", {"users": list(range(20)), "k": 15})[1]
    for user in range(20):
        alone = ask(f"/recommend/{user}?k=15")[1]
        # Another shape of the product may round the last digit of a score otherwise.
        scores, again = (
            [item.pop("score") for item in each["items"]] for each in (everyone[user], alone)
        )
        assert scores == pytest.approx(again, rel=1e-4, abs=1e-5)
        assert everyone[user] == alone


def test_a_query_that_comes_again_goes_the_short_way_to_the_same_answer(
    model: LoadedModel,
) -> None:
    ask = asking(create_app(model))
    for path in ("/recommend/3?k=4", "/recommend/3", "/recommend/nobody?k=4", "/recommend/3?k=0"):
        first = ask(path)
        ask(path.replace("nobody", "5"))
        assert ask(path) == first
    assert ask("/recommend/3?k=4&k=5") == ask("/recommend/3?k=4&k=5")
    assert [each["rank"] for each in ask("/recommend/5?k=4")[1]["items"]] == [1, 2, 3, 4]


def test_odd_queries_take_the_short_way_from_nobody_for_long() -> None:
    checked, plain = Checked(), ListOptions()
    for number in range(300):
        checked.remember(b"k=%d" % number, plain)
    checked.remember(b"k=10&" + b"x" * 500, plain)
    checked.remember(b"diversity=1", ListOptions(diversity=1.0))
    assert checked.get(b"k=299") is plain
    assert checked.get(b"k=0") is None
    assert len(checked._options) == 256


def test_filters_are_looked_up_once_for_all_users_of_a_request(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    original = loaded.candidates_of

    def counting(*given: Any) -> Any:
        looked.append(given)
        return original(*given)

    monkeypatch.setattr(loaded, "candidates_of", counting)
    body = {"users": [3, *[{"history": [10]}] * 5], "allow_items": [20, 30], "k": 2}
    status, answer = asking(create_app(model))("/recommend", body)
    assert (status, len(looked)) == (200, 1)
    assert all({i["item"] for i in each["items"]} <= {20, 30} for each in answer)


def test_new_users_are_answered_by_history_and_features(
    ask: Ask, system: RecommendationSystem
) -> None:
    body = {
        "users": [
            {"history": [10, "20", 30]},
            {"features": ["age 1"]},
            {"history": [10, 20, 30], "features": ["age 1"]},
        ],
        "k": 3,
    }
    status, answer = ask("/recommend", body)
    assert status == 200
    tables = [
        system.recommend_for_history([10, 20, 30], k=3),
        system.recommend_for_features(["age 1"], k=3),
        system.recommend_for_history([10, 20, 30], k=3, user_features=["age 1"]),
    ]
    for found, table in zip(answer, tables, strict=True):
        assert found["user"] is None
        assert [each["item"] for each in found["items"]] == table["item"].tolist()


def test_an_unknown_user_does_not_spoil_the_others(ask: Ask) -> None:
    users = [3, 999, {"history": [11]}, {"features": ["age 9"]}, {}, 4]
    status, answer = ask("/recommend", {"users": users, "k": 2})
    assert status == 200
    assert [("items" in each, "error" in each) for each in answer] == [
        (True, False),
        *[(False, True)] * 4,
        (True, False),
    ]
    assert "unknown user '999'" in answer[1]["error"]
    assert "unknown item '11'" in answer[2]["error"]
    assert "'age 9' is not a feature" in answer[3]["error"]
    assert "none was given" in answer[4]["error"]
    status, answer = ask("/recommend", {"users": [998, 999]})
    assert (status, answer["detail"][:18]) == (404, "unknown user '998'")
    assert "(and 1 more)" in answer["detail"]


def test_filters_and_diversity(ask: Ask, model: LoadedModel) -> None:
    def items(**options: Any) -> list[int]:
        body = {"users": [3], "k": 15, "exclude_seen": False, **options}
        return [each["item"] for each in ask("/recommend", body)[1][0]["items"]]

    assert set(items(allow_items=[10, "20"])) == {10, 20}
    assert set(items(item_features=["genre 1"])) == {10, 50, 90, 130}
    assert 0 not in items(deny_items=[0, "not a thing"])
    table = model.recommend([3], k=5, diversity=0.7, popularity_discount=1.0)
    answer = ask("/recommend/3?k=5&diversity=0.7&popularity_discount=1")[1]
    assert [each["item"] for each in answer["items"]] == table["item"].tolist()


def test_similar_items_are_the_systems_and_leave_the_item_out(
    ask: Ask, system: RecommendationSystem
) -> None:
    status, answer = ask("/similar/30?k=1000")
    assert status == 200
    assert answer["name"] == "Thing 3"
    table = system.similar_items([30], k=1000)
    assert [each["item"] for each in answer["items"]] == table["similar_item"].tolist()
    assert all(abs(each["score"]) <= 1.0 + 1e-6 for each in answer["items"])
    discounted = system.similar_items([30], k=5, popularity_discount=0.4)
    _, answer = ask("/similar/30?k=5&popularity_discount=0.4")
    assert [each["item"] for each in answer["items"]] == discounted["similar_item"].tolist()


def test_what_a_user_chose_and_what_there_is(ask: Ask, model: LoadedModel) -> None:
    status, answer = ask("/history/3?k=2")
    assert status == 200
    assert answer["n_items"] == len(model.liked.of(3))
    assert [each["item"] // 10 for each in answer["items"]] == model.history(3)[:2].tolist()
    assert ask("/items?text=THING 1&k=2")[1]["items"] == [
        {"item": 10, "name": "Thing 1"},
        {"item": 100, "name": "Thing 10"},
    ]
    assert ask("/items?text=nothing")[1] == {"items": []}


def test_states_and_info(ask: Ask, model: LoadedModel) -> None:
    assert ask("/health") == (200, {"status": "ok", "model": model.version})
    assert ask("/ready") == (200, {"status": "ready", "model": model.version})
    status, info = ask("/info")
    assert (status, info["dataset"], info["n_users"], info["n_items"]) == (200, "toy", 20, 15)
    assert info["settings"]["model"]["n_latent"] == 8
    assert info["metrics"] == {"val/ndcg_at_10": 0.25}
    assert "mlflow" not in info["settings"]  # a tracking address may hold a password


def test_a_server_without_a_model_is_alive_and_not_ready() -> None:
    ask = asking(create_app(Holder()))
    assert ask("/health")[0] == 200
    for path in ("/ready", "/recommend/1", "/info"):
        status, answer = ask(path)
        assert (status, "no model is loaded yet" in answer["detail"]) == (503, True)


def test_figures_count_by_route_and_not_by_id(ask: Ask) -> None:
    ask("/recommend/3")
    ask("/recommend/no-such-user")
    status, text = ask("/metrics")
    assert status == 200
    assert 'method="GET",route="/recommend/{user:path}",status="200"' in text
    assert 'status="404"' in text
    assert "no-such-user" not in text
    assert "hbpr_unknown_users_total" in text


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/recommend/999", None, "unknown user '999': not among the 20 users"),
        ("/recommend/", None, "unknown user ''"),
        ("/recommend/anna", None, "unknown user 'anna'"),
        ("/recommend/' OR 1=1 --", None, "unknown user"),
        ("/recommend/../../etc/passwd", None, "ound"),
        ("/recommend", {"users": [998]}, "unknown user '998'"),
        ("/recommend", {"users": [1], "allow_items": [1]}, "allow_items: unknown item '1'"),
        ("/recommend", {"users": [1], "item_features": ["x"]}, "'x' is not a feature"),
        ("/recommend", {"users": [2**70]}, "unknown user"),
        ("/similar/5", None, "unknown item '5': not among the 15 items"),
        ("/history/5000", None, "unknown user '5000'"),
        ("/nothing", None, "Not Found"),
    ],
)
def test_what_is_not_known_is_404_with_its_name(ask: Ask, path: str, body: Any, named: str) -> None:
    status, answer = ask(path, body)
    assert status == 404
    assert named in answer["detail"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/recommend/3?k=0", None, "query.k"),
        ("/recommend/3?k=10000000", None, "query.k"),
        ("/recommend/3?k=many", None, "query.k"),
        ("/recommend/3?exclude_items=72", None, "query.exclude_items: Extra inputs"),
        ("/recommend/3?diversity=inf", None, "query.diversity"),
        ("/recommend/3?diversity=nan", None, "query.diversity"),
        ("/similar/30?k=-1", None, "query.k"),
        ("/similar/30?popularity_discount=-0.1", None, "query.popularity_discount"),
        ("/items", None, "query.text"),
        ("/health?x=1", None, "'x' is no parameter here"),
        ("/recommend?k=3", {"users": [1]}, "'k' is no parameter here"),
        ("/recommend", {"users": []}, "body.users"),
        ("/recommend", {"users": 1}, "body.users"),
        ("/recommend", {"users": [True]}, "body.users.0"),
        ("/recommend", {"users": [None]}, "body.users.0"),
        ("/recommend", b'{"users": [1e999]}', "body.users.0"),
        ("/recommend", b'{"users": [NaN]}', "body.users.0"),
        ("/recommend", b'{"users": [1], "diversity": Infinity}', "body.diversity"),
        ("/recommend", b'{"users": ["\\ud800"]}', "body.users.0"),
        ("/recommend", {"users": ["x" * 501]}, "body.users.0"),
        ("/recommend", {"users": [1], "k": 0}, "body.k"),
        ("/recommend", {"users": [1], "k": "many"}, "body.k"),
        ("/recommend", {"users": [1], "top": 5}, "body.top"),
        ("/recommend", {"users": [{"history": []}]}, "body.users.0"),
        ("/recommend", {"users": [{"histroy": [1]}]}, "body.users.0"),
        ("/recommend", {"users": [1] * 1001}, "body.users"),
        ("/recommend", {"users": [{"history": [10]}] * 51}, "at most 50 may be new users"),
        ("/recommend", b"{", "JSON decode error"),
        ("/recommend", b"\xff\xfe", "body"),
        ("/recommend", b"[1, 2]", "body"),
        ("/recommend", b"", "body"),
    ],
)
def test_bad_values_are_told(ask: Ask, path: str, body: Any, named: str) -> None:
    status, answer = ask(path, body)
    assert status in (400, 422)
    assert status == 422 or body == b"\xff\xfe"
    assert named in answer["detail"]
    assert len(answer["detail"]) < 3000


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"users": [' + b"9" * 5000 + b"]}"])
def test_json_that_no_reader_takes_is_400(ask: Ask, body: bytes) -> None:
    status, answer = ask("/recommend", body)
    assert status in (400, 422)
    assert answer["detail"]


def test_a_form_is_no_json(ask: Ask) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    status, answer = ask("/recommend", b"users=1", **form)
    assert (status, answer["detail"][:4]) == (422, "body")


def test_other_methods_are_405(ask: Ask) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert ask("/recommend/3", method=method)[0] == 405


def test_ids_of_text_may_hold_slashes_spaces_and_umlauts(tmp_path: Path) -> None:
    system = make_system(lambda i: f"Jörg/{i} x")
    ask = asking(create_app(load_system(system, tmp_path / "model")))
    user, item = system.data.user_ids[3], system.data.item_ids[2]
    assert ask(f"/recommend/{quote(user, safe='')}?k=1")[1]["user"] == user
    assert ask(f"/recommend/{quote(user)}?k=1")[1]["user"] == user
    assert ask(f"/similar/{quote(item, safe='')}")[1]["item"] == item


def test_who_asks_at_once_is_answered_alike(model: LoadedModel) -> None:
    """Users of one turn of the event loop share a matrix product; slow models work in a thread."""
    serving = Serving(model)
    for slow in (False, True):
        serving.batcher._in_thread = slow
        app = create_app(Holder(serving=serving))

        async def everyone(app: Any = app) -> list[Any]:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                paths = [f"/recommend/{u}?k={3 + u % 2}" for u in [*range(20), 99, 5]]
                return await asyncio.gather(*(client.get(path) for path in paths))

        answers = asyncio.run(everyone())
        assert [each.status_code for each in answers] == [200] * 20 + [404, 200]
        for user in range(20):
            table = model.recommend([user], k=3 + user % 2)
            listed = [each["item"] for each in answers[user].json()["items"]]
            assert listed == table["item"].tolist()


def test_a_model_that_fails_is_500_in_json(model: LoadedModel) -> None:
    serving = Serving(model)

    def fails(*_: Any) -> None:
        raise RuntimeError("out of order")

    serving.batcher._ask = fails  # type: ignore[method-assign]
    status, answer = asking(create_app(Holder(serving=serving)))("/recommend/3")
    assert status == 500
    assert answer["detail"] == "the server failed: RuntimeError; its log has more"


def test_pages_need_no_network(ask: Ask) -> None:
    for path in ("/", "/docs", "/page.js", "/docs.js", "/swagger-ui.css", "/swagger-ui-bundle.js"):
        status, text = ask(path)
        assert status == 200
        assert text
        if path in ("/", "/docs"):
            assert "http://" not in text
            assert "https://" not in text
    assert "SwaggerUIBundle" in ask("/swagger-ui-bundle.js")[1]


def test_the_description_names_every_answer(ask: Ask) -> None:
    paths = ask("/openapi.json")[1]["paths"]
    told = {
        (path, method): {int(each) for each in operation["responses"]}
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert {path for path, _ in told} == {
        *("/recommend", "/recommend/{user}", "/similar/{item}", "/history/{user}", "/items"),
        *("/info", "/health", "/ready", "/metrics", "/reload"),
    }
    assert told["/recommend", "post"] == {200, 400, 401, 404, 413, 422, 503}
    assert told["/recommend/{user}", "get"] == {200, 401, 404, 413, 422, 503}
    assert told["/reload", "post"] == {200, 401, 403, 409, 413, 422}
    assert all({401, 413} <= statuses for statuses in told.values())


def test_limits_of_lists_are_those_of_the_description() -> None:
    assert schemas.RecommendRequest(users=[1], k=schemas.MAX_K).options().k == 1000
    assert np.iinfo(np.int64).max == schemas._INT64 - 1
