"""Whatever is sent to whichever route, nothing answers 500, and every refusal is a problem document."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar

from core.accounts.schemas import Registration
from core.accounts.tables import Profile
from core.config import PlatformConfig
from core.embedded import EmbeddedUrls
from core.errors import InvalidInputError
from core.openapi import document
from core.validation import validate
from tests.conftest import client_for, empty_database
from tests.factories import make_member

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}
DEEP = 40

BODIES: dict[str, bytes] = {
    "empty": b"",
    "truncated": b'{"name": "a',
    "no JSON": b"name=a",
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "empty object": b"{}",
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "lone surrogate": rb'{"name": "\ud800"}',
    "NUL": rb'{"name": "\u0000", "email": "a\u0000@b.cd"}',
    "NUL in a key": rb'{"a\u0000b": 1}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "NaN": b'{"name": NaN}',
    "huge exponent": b'{"name": 1e999}',
    "duplicate keys": b'{"name": 1, "name": 2}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
}
VALUES: list[object] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    10**40,
    1.5,
    "",
    " ",
    "\0",
    "x" * 100_000,
    "\u0663",
    [],
    [None],
    {},
    {"a": {}},
]
READABLE = {"empty", "empty object", "NUL in a key", "duplicate keys"}
"""Some route may take these: with nothing required, and what is not known ignored."""

QUERIES = [
    "page=0",
    "page=-1&per_page=1000000",
    "page=%00",
    "search=%00",
    "search=%ff%fe",
    "search=%ED%A0%80",
    "search=%25_%5C",
    "sort=id%3BDROP",
    "sort=%00",
    "cursor=x",
    "=",
    "&&&;;;",
    "%",
    "page=1&page=2",
    "x" * 5_000,
    f"page={'9' * 5000}",
    "status=%00&type=x&label_id=99999999999999999999",
]
NO_STREAM = "&last_event_id=none"
"""Keeps a good answer from going on for ever."""
IDS = ["0", "-1", "x", str(2**63 - 1), str(2**63), "9" * 5000, "%00", "%2F", "1%20OR%201=1", "1.0", "..", "\u0661"]


def routes(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation with its method and path, but those that would sign the caller out."""
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if operation["operationId"] not in {"LogOut", "LogOutEverywhere"}:
                yield method.upper(), path, operation


def filled(path: str, value: str = "1") -> str:
    return re.sub(r"{[^}]+}", value, path)


def judge(answer: httpx.Response, sent: object) -> None:
    """A refusal is told as the documentation says; everything else succeeded."""
    where = f"{answer.request.method} {answer.request.url} {str(sent)[:200]}: {answer.text[:300]}"
    assert answer.status_code < 500 or answer.status_code in {502, 503}, where
    if answer.is_error and not answer.request.url.path.startswith("/api/schema"):
        assert answer.headers["content-type"] == "application/problem+json", where
        body = answer.json()
        assert body["status"] == answer.status_code, where
        assert {"type", "title", "detail", "message", "errors", "code"} <= body.keys(), where


@pytest.fixture
def described(app: Litestar) -> dict[str, Any]:
    return document(app)


@pytest.fixture(scope="module")
async def administrator(
    servers: EmbeddedUrls, template: PlatformConfig, app: Litestar
) -> AsyncIterator[httpx.AsyncClient]:
    """Who gets furthest, in a database of their own: what is accepted changes it."""
    async with empty_database(servers, template):
        await make_member()  # somebody else has the ids 1
        member = await make_member(profile=Profile.ADMINISTRATOR)
        async with client_for(app, member.token) as client:
            yield client


@pytest.mark.parametrize("name", BODIES)
async def test_broken_bodies(administrator: httpx.AsyncClient, described: dict[str, Any], name: str) -> None:
    for method, path, operation in routes(described):
        if "requestBody" in operation:
            answer = await administrator.request(method, filled(path), content=BODIES[name], headers=JSON)
            judge(answer, name)
            assert answer.is_client_error or name in {"empty object", "NUL in a key", "duplicate keys", "empty"}, path


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__} {value!r:.12}")
async def test_every_field_with_every_wrong_value(
    administrator: httpx.AsyncClient, described: dict[str, Any], value: object
) -> None:
    """The documented example with one field replaced, for every field of every route."""
    schemas = described["components"]["schemas"]
    for method, path, operation in routes(described):
        media = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if media is None or "$ref" not in media["schema"]:
            continue
        schema = schemas[media["schema"]["$ref"].rsplit("/", 1)[-1]]
        example = schema["examples"][0] if isinstance(schema["examples"][0], dict) else {}
        for field in schema.get("properties", {}):
            body = json.dumps({**example, field: value})
            judge(await administrator.request(method, filled(path), content=body, headers=JSON), body)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:20])
async def test_query_strings(administrator: httpx.AsyncClient, described: dict[str, Any], query: str) -> None:
    for method, path, operation in routes(described):
        if method == "GET":
            more = NO_STREAM if operation["operationId"] == "ListenToEvents" else ""
            judge(await administrator.get(f"{filled(path)}?{query}{more}"), query)


@pytest.mark.parametrize("identifier", IDS, ids=lambda identifier: identifier[:20])
async def test_ids(administrator: httpx.AsyncClient, described: dict[str, Any], identifier: str) -> None:
    for method, path, _ in routes(described):
        if "{" in path:
            answer = await administrator.request(method, filled(path, identifier), content=b"{}", headers=JSON)
            judge(answer, identifier)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer " + "x" * 8000},
        {"Authorization": b"Bearer \xff\xfe"},
        {"Authorization": "Basic Og=="},
        {"Accept-Language": b"\xff;q=\xfe"},
        {"Accept-Language": "pt;q=1e999, es;q=-5"},
        {"Accept": "nonsense"},
        {"Content-Type": b"application/json; charset=\xff"},
        {"Content-Type": "multipart/form-data"},
        {"Content-Type": "multipart/form-data; boundary="},
        {"Content-Type": "text/plain"},
        {"Content-Length": "-1"},
        {"Cookie": b"\xff=\xfe; ;;="},
        {"X-Forwarded-For": "nonsense, 999.999.999.999"},
        {"Host": "a b"},
        {"Host": ""},
        {"User-Agent": b"\x80\xff" * 200},
    ],
    ids=str,
)
async def test_headers(app: Litestar, described: dict[str, Any], headers: dict[str, Any]) -> None:
    async with client_for(app) as client:
        for method, path, _ in routes(described):
            judge(await client.request(method, filled(path), content=b"{}", headers=headers), headers)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_wrong_content_type(administrator: httpx.AsyncClient, described: dict[str, Any], media_type: str) -> None:
    for method, path, operation in routes(described):
        taken = operation.get("requestBody", {}).get("content", {})
        if "application/json" in taken and media_type not in taken:
            headers = {"Content-Type": media_type} if media_type else {}
            answer = await administrator.request(method, filled(path), content=b'{"a": 1}', headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), path


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(body=st.dictionaries(st.sampled_from(["email", "name", "password", "timezone", "locale"]), json_values))
def test_made_up_registrations(body: dict[str, object]) -> None:
    """Bodies nobody thought of, against the strictest of the schemas."""
    errors: dict[str, list[str]] = {}
    try:
        validate(Registration, json.loads(json.dumps(body)))
    except InvalidInputError as error:
        errors = error.errors
    missing = {"email", "name", "password"} - body.keys()
    assert missing <= errors.keys()
    assert errors.keys() <= {*missing, *(name for name in errors if name.split(".")[0] in body)}
