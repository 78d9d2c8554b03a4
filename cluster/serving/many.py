"""Lists for the users of one request: known ones in blocks, new ones each for itself."""

import asyncio
from typing import Final

import numpy as np
from fastapi import HTTPException

from cluster.serving import metrics, schemas
from cluster.serving.holder import Serving
from hbpr.errors import DataError
from hbpr.inference.filters import PreparedOptions
from hbpr.inference.options import Someone

#: Users and length of lists up to which an answer is made at once, without a thread.
_FEW: Final = 4


async def recommend_many(serving: Serving, request: schemas.RecommendRequest) -> str:
    """Return a JSON list of `schemas.UserList`, in the order asked.

    Raises:
        HTTPException: 404 if nobody is known, or what filters name is not; 422 for too many new
            users.
    """
    new = sum(isinstance(each, schemas.NewUser) for each in request.users)
    if new > schemas.MAX_NEW_USERS:
        raise HTTPException(
            422, f"body.users: at most {schemas.MAX_NEW_USERS} may be new users, got {new}"
        )
    few = len(request.users) <= _FEW and not new and request.options().is_plain
    if few and not serving.is_slow:
        return _answer(serving, request)
    return await asyncio.to_thread(_answer, serving, request)


def _answer(serving: Serving, request: schemas.RecommendRequest) -> str:
    model = serving.model
    lists = [""] * len(request.users)
    errors = list[str]()
    known = list[tuple[int, int]]()
    try:
        options = model.prepare(request.options())  # filters are looked up once for all
    except DataError as error:
        raise HTTPException(404, str(error)) from error
    for place, user in enumerate(request.users):
        if isinstance(user, schemas.NewUser):
            lists[place] = _new(serving, user, options, errors)
        elif (row := model.users.row(user)) is None:
            errors.append(model.users.unknown([user]))
            lists[place] = serving.answers.error(user, errors[-1])
            metrics.count_unknown()
        else:
            known.append((place, row))
    if len(errors) == len(lists):
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise HTTPException(404, errors[0] + more)
    if known:
        rows = [row for _, row in known]
        made = serving.answers.users(rows, model.lists(np.array(rows), options))
        for (place, _), text in zip(known, made, strict=True):
            lists[place] = text
        metrics.count_lists("known", len(known))
    return f"[{','.join(lists)}]"


def _new(
    serving: Serving, user: schemas.NewUser, options: PreparedOptions, errors: list[str]
) -> str:
    try:
        found = serving.model.list_for(
            Someone(history=user.history, features=user.features), options
        )
    except DataError as error:
        errors.append(str(error))
        return serving.answers.error(None, errors[-1])
    metrics.count_lists("new")
    return serving.answers.user(None, found)
