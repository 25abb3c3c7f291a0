"""Who is calling, and who may."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post

from core.errors import ForbiddenError, NotSignedInError
from core.problems import EXCEPTION_HANDLERS
from core.request import AnyRequest
from core.security import (
    NO_KEY,
    SCOPE,
    AuthenticationMiddleware,
    Credential,
    CurrentUser,
    credential_of,
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


async def authenticate(credential: Credential, known: object = None) -> CurrentUser:
    del known
    match credential.token:
        case "ana":
            return ANA
        case "reader" | "sender" | "manager" | "boss":
            scope = {"reader": "read", "sender": "send", "manager": "manage", "boss": "read"}[credential.token]
            profile = "administrator" if credential.token == "boss" else "user"
            return msgspec.structs.replace(ANA, kind="api_key", scopes=(scope,), profile=profile)
        case "suspended":
            raise ForbiddenError("This account is suspended.", code="account_suspended")
    raise NotSignedInError


@get("/open")
async def anybody(request: AnyRequest) -> str:
    return "open" if request.scope["user"] is None else "known"


@get("/mine", guards=[requires_user])
async def mine(request: AnyRequest) -> int:
    return current_user(request).id


@post("/mine", guards=[requires_user])
async def change() -> None:
    return None


@post("/send", guards=[requires_user], opt={SCOPE: "send"})
async def send() -> None:
    return None


@get("/private", guards=[requires_user], opt={SCOPE: NO_KEY})
async def private() -> None:
    return None


@get("/admin", guards=[requires_administrator])
async def admin() -> None:
    return None


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [anybody, mine, change, send, private, admin],
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
    ("key", "codes"),
    [
        ("reader", ["", "scope_missing", "scope_missing", "api_key_not_allowed", "administrator_required"]),
        ("sender", ["scope_missing", "scope_missing", "", "api_key_not_allowed", "administrator_required"]),
        ("manager", ["scope_missing", "", "scope_missing", "api_key_not_allowed", "administrator_required"]),
        ("boss", ["", "scope_missing", "scope_missing", "api_key_not_allowed", "api_key_not_allowed"]),
    ],
)
async def test_an_api_key_does_what_its_scopes_say(guarded: httpx.AsyncClient, key: str, codes: list[str]) -> None:
    routes = [("GET", "/mine"), ("POST", "/mine"), ("POST", "/send"), ("GET", "/private"), ("GET", "/admin")]
    headers = {"Authorization": f"Bearer {key}"}
    answers = [await guarded.request(method, path, headers=headers) for method, path in routes]
    assert [answer.json()["code"] if answer.is_error else "" for answer in answers] == codes


Headers = list[tuple[bytes, bytes]]


def _found(headers: Headers, method: str = "GET") -> Credential | None:
    return credential_of({"type": "http", "method": method, "headers": headers})  # type: ignore[arg-type]


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
    assert _found([(b"authorization", header)]) == (Credential(token) if token else None)


def test_no_header() -> None:
    assert _found([]) is None


COOKIE: Headers = [(b"cookie", b"theme=dark; recado_session=abc"), (b"x-csrf-token", b"proof")]


@pytest.mark.parametrize(("method", "changes"), [("GET", False), ("HEAD", False), ("POST", True), ("DELETE", True)])
def test_a_cookie(method: str, *, changes: bool) -> None:
    assert _found(COOKIE, method) == Credential("abc", by_cookie=True, csrf="proof", changes=changes)


@pytest.mark.parametrize(
    "headers", [[*COOKIE, (b"authorization", b"Bearer xyz")], [(b"authorization", b"Bearer xyz"), *COOKIE]]
)
def test_a_bearer_token_comes_before_a_cookie(headers: Headers) -> None:
    assert _found(headers) == Credential("xyz")


def test_another_authorization_leaves_the_cookie() -> None:
    found = _found([(b"authorization", b"Basic YTpi"), *COOKIE])
    assert found is not None
    assert found.token == "abc"


@pytest.mark.parametrize(
    "cookie", [b"recado_session", b"recado_session=", b"xrecado_session=abc", b"\xff=\x00; recado_session="]
)
def test_odd_cookies_are_none(cookie: bytes) -> None:
    assert _found([(b"cookie", cookie)]) is None
