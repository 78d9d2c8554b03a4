"""Recommendations over HTTP: one application, the same wherever it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final

import numpy as np
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from cluster.serving import metrics, schemas
from cluster.serving.answers import plain
from cluster.serving.gate import App, Gate
from cluster.serving.holder import Holder, Serving
from cluster.serving.many import recommend_many
from cluster.serving.pages import add_pages
from cluster.serving.plan import AccessLog
from cluster.serving.shortcut import Checked, Shortcut
from hbpr.errors import HbprError
from hbpr.inference.loaded import LoadedModel
from hbpr.inference.text_ids import TextIds
from hbpr.version import __version__

#: Names of features that /info shows of a side.
_MOST_NAMES: Final = 100
_SUMMARY: Final = "Recommendations from a trained hbpr model."
_DESCRIPTION: Final = (
    'Ids are matched by their text: `42` finds the user 42 as well as the user "42". Query '
    "parameters and fields that are not described are refused. A score orders one user's items and "
    "means nothing else."
)

Problems = dict[int | str, dict[str, Any]]


def _problems(*statuses: int) -> Problems:
    told = {
        400: "The body is no JSON.",
        401: "The token is missing or wrong.",
        403: "Not allowed.",
        404: "An id or a feature is not known.",
        409: "There is no new model that can be read; the old one stays.",
        413: "The body is too large.",
        422: "A parameter or field is not as described.",
        503: "There is no model yet.",
    }
    return {each: {"model": schemas.Problem, "description": told[each]} for each in statuses}


def create_app(
    model: "LoadedModel | Holder",
    *,
    token: str | None = None,
    max_body: int = 2**20,
    access_log: AccessLog = "off",
) -> App:
    """Return the ASGI application that answers from a model.

    Args:
        model: The model, or what holds one that may be reloaded.
        token: What clients must send as ``Authorization: Bearer``; None: nothing.
        max_body: Most bytes of a body.
        access_log: ``off``, ``routes`` (without ids) or ``paths``.
    """
    holder = Holder(serving=Serving(model)) if isinstance(model, LoadedModel) else model
    checked = Checked()
    app = Shortcut(create_api(holder, checked, has_token=token is not None), holder, checked)
    return Gate(app, token=token, max_body=max_body, access_log=access_log)


def create_api(holder: Holder, checked: Checked, *, has_token: bool) -> FastAPI:
    """Return the FastAPI application within the gate."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(holder.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    api = FastAPI(
        title="hbpr",
        version=__version__,
        summary=_SUMMARY,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses=_problems(401, 413),
    )
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(StarletteHTTPException, _refused)
    api.add_exception_handler(Exception, _broken)

    def serving() -> Serving:
        if holder.now is None:
            raise HTTPException(503, "no model is loaded yet; ask again in a moment")
        return holder.now

    _add_answers(api, serving, checked)
    _add_states(api, holder, has_token)
    add_pages(api)
    if has_token:
        _describe_token(api)
    return api


def _add_answers(api: FastAPI, serving: Callable[[], Serving], checked: Checked) -> None:
    """Add the routes that ask the model."""

    @api.get(
        "/recommend/{user:path}",
        response_model=schemas.UserList,
        responses=_problems(404, 422, 503),
    )
    async def recommend(
        user: Annotated[str, Path(description="Id of a user.")],
        query: Annotated[schemas.ListQuery, Query()],
        request: Request,
    ) -> Response:
        """Return a user's best items."""
        now = serving()
        row, options = _row(now.model.users, user), query.options()
        checked.remember(request.scope["query_string"], options)
        if options.is_plain:
            found = await now.batcher.list_for(row, options)
        else:
            found = await asyncio.to_thread(now.model.lists, np.array([row]), options)
        metrics.count_lists("known")
        return _json(now.answers.user(now.model.users.values[row], found))

    @api.post(
        "/recommend",
        response_model=list[schemas.UserList],
        responses=_problems(400, 404, 422, 503),
        dependencies=[Depends(_no_query)],
    )
    async def recommend_several(request: schemas.RecommendRequest) -> Response:
        """Return the best items of several users, known or new, in the order asked.

        A user who is not known gets an error in place of items; if nobody is known, the whole
        request is answered with 404.
        """
        return _json(await recommend_many(serving(), request))

    @api.get(
        "/similar/{item:path}",
        response_model=schemas.SimilarList,
        responses=_problems(404, 422, 503),
    )
    async def similar(
        item: Annotated[str, Path(description="Id of an item.")],
        query: Annotated[schemas.SimilarQuery, Query()],
    ) -> Response:
        """Return the items most similar to one."""
        now = serving()
        row = _row(now.model.items, item)
        found = await asyncio.to_thread(
            now.model.similar_item_lists, np.array([row]), query.k, query.popularity_discount
        )
        return _json(now.answers.similar(row, found))

    @api.get(
        "/history/{user:path}",
        response_model=schemas.History,
        responses=_problems(404, 422, 503),
    )
    async def history(
        user: Annotated[str, Path(description="Id of a user.")],
        query: Annotated[schemas.LengthQuery, Query()],
    ) -> Response:
        """Return what a user chose in the training data, what the model expects most first."""
        now = serving()
        row = _row(now.model.users, user)
        chosen = await asyncio.to_thread(now.model.history, row)
        items = now.answers.known(chosen[: query.k].tolist())
        told = plain(now.model.users.values[row])
        return _json(f'{{"user":{told},"n_items":{len(chosen)},"items":[{items}]}}')

    @api.get("/items", response_model=schemas.ItemsFound, responses=_problems(422, 503))
    async def items(query: Annotated[schemas.SearchQuery, Query()]) -> Response:
        """Return items whose name or id holds a text."""
        now = serving()
        rows = await asyncio.to_thread(now.answers.search, query.text, query.k)
        return _json(f'{{"items":[{now.answers.known(rows)}]}}')

    @api.get(
        "/info",
        responses=_problems(422, 503),
        dependencies=[Depends(_no_query)],
    )
    async def info() -> schemas.Info:
        """Describe the model."""
        model = serving().model
        return schemas.Info(
            dataset=model.name,
            model=model.version,
            n_users=model.n_users,
            n_items=model.n_items,
            user_features=list(model.user_feature_names[:_MOST_NAMES]),
            item_features=list(model.item_feature_names[:_MOST_NAMES]),
            metrics=dict(model.metrics),
            settings=model.settings.model_dump(mode="json", exclude={"mlflow"}),
        )


def _add_states(api: FastAPI, holder: Holder, has_token: bool) -> None:
    """Add the routes of operators."""
    bare = [Depends(_no_query)]

    @api.get("/health", responses=_problems(422), dependencies=bare)
    async def health() -> schemas.State:
        """Say that the process answers."""
        return schemas.State(status="ok", model=holder.now and holder.now.model.version)

    @api.get("/ready", responses=_problems(422, 503), dependencies=bare)
    async def ready() -> schemas.State:
        """Say that there is a model to answer with."""
        if holder.now is None:
            raise HTTPException(503, "no model is loaded yet; ask again in a moment")
        return schemas.State(status="ready", model=holder.now.model.version)

    @api.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **_problems(422),
        },
        dependencies=bare,
    )
    def figures() -> Response:
        """Return requests, times and lists over all processes, for Prometheus."""
        return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)

    @api.post("/reload", responses=_problems(403, 409, 422), dependencies=bare)
    async def reload() -> schemas.State:
        """Look the model up again; all processes go over to it, no request is dropped.

        Only a server with a token can be asked.
        """
        if not has_token:
            raise HTTPException(403, "start the server with --token-file to reload by a request")
        try:
            now = await holder.reload()
        except HbprError as error:
            raise HTTPException(409, str(error)) from error
        return schemas.State(status="ready", model=now.model.version)


def _row(ids: TextIds, given: str) -> int:
    row = ids.row(given)
    if row is None:
        if ids.side == "user":
            metrics.count_unknown()
        raise HTTPException(404, ids.unknown([given]))
    return row


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")


def _no_query(request: Request) -> None:
    if request.url.query:
        unknown = next(iter(request.query_params), request.url.query)
        raise HTTPException(422, f"query: {unknown[:80]!r} is no parameter here; there are none")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    body = plain({"detail": str(error.detail)})
    return Response(body, error.status_code, error.headers, "application/json")


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(_told(each) for each in list(error.errors())[:5])
    return Response(plain({"detail": told}), 422, media_type="application/json")


async def _broken(_: Request, error: Exception) -> Response:
    body = plain({"detail": f"the server failed: {type(error).__name__}; its log has more"})
    return Response(body, 500, media_type="application/json")


def _told(problem: dict[str, Any]) -> str:
    place = ".".join(str(each) for each in problem["loc"])
    given = repr(problem.get("input"))
    shown = given if len(given) <= 80 else f"{given[:80]}..."
    return f"{place}: {problem['msg']}" + ("" if problem["type"] == "missing" else f", got {shown}")


def _describe_token(api: FastAPI) -> None:
    """Say in the description that a token is asked for."""
    original = api.openapi

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = original()
            schema["components"]["securitySchemes"] = {
                "token": {"type": "http", "scheme": "bearer"}
            }
            schema["security"] = [{"token": []}]
            for path in ("/health", "/ready"):
                schema["paths"][path]["get"]["security"] = []
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = described  # type: ignore[method-assign]
