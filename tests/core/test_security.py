"""Who is calling, and who may."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar, get

from core.errors import ForbiddenError, NotSignedInError
from core.problems import EXCEPTION_HANDLERS
from core.request import AnyRequest
from core.security import (
    AuthenticationMiddleware,
    CurrentUser,
    bearer_token,
    current_user,
    requires_administrator,
    requires_user,
)
from tests.conftest import client_for

ANA = CurrentUser(
    id=7,
    email="ana@example.com",
    name="Ana",
    profile="user",
    plan_id=1,
    locale="en",
    timezone="America/Sao_Paulo",
    session_id=9,
)


async def authenticate(token: str) -> CurrentUser:
    match token:
        case "ana":
            return ANA
        case "suspended":
            raise ForbiddenError("This account is suspended.", code="account_suspended")
    raise NotSignedInError


@get("/open")
async def anybody(request: AnyRequest) -> str:
    return "open" if request.scope["user"] is None else "known"


@get("/mine", guards=[requires_user])
async def mine(request: AnyRequest) -> int:
    return current_user(request).id


@get("/admin", guards=[requires_administrator])
async def admin() -> None:
    return None


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [anybody, mine, admin],
        middleware=[AuthenticationMiddleware(authenticate)],
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
    )
    async with client_for(app) as client:
        yield client


async def ask(client: httpx.AsyncClient, path: str, token: str) -> tuple[int, str]:
    answer = await client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {})
    return answer.status_code, answer.json()["code"] if answer.is_error else answer.text


@pytest.mark.parametrize(
    ("path", "token", "expected"),
    [
        ("/open", "", (200, "open")),
        ("/open", "ana", (200, "known")),
        ("/open", "stale", (200, "open")),
        ("/open", "suspended", (200, "open")),
        ("/mine", "", (401, "unauthenticated")),
        ("/mine", "stale", (401, "unauthenticated")),
        ("/mine", "suspended", (403, "account_suspended")),
        ("/mine", "ana", (200, "7")),
        ("/admin", "", (401, "unauthenticated")),
        ("/admin", "suspended", (403, "account_suspended")),
        ("/admin", "ana", (403, "administrator_required")),
    ],
)
async def test_guards(guarded: httpx.AsyncClient, path: str, token: str, expected: tuple[int, str]) -> None:
    assert await ask(guarded, path, token) == expected


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", "abc"),
        (b"bearer  abc ", "abc"),
        (b"Basic YTpi", ""),
        (b"Bearer", ""),
        (b"", ""),
        (b"Bearer \xe9\xff", "\xe9\xff"),
    ],
)
def test_bearer_token(header: bytes, token: str) -> None:
    assert bearer_token({"headers": [(b"authorization", header)]}) == token  # type: ignore[arg-type]


def test_no_header() -> None:
    assert bearer_token({"headers": []}) == ""  # type: ignore[arg-type]
