"""Bodies and addresses, before any handler sees them."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta

from core.problems import EXCEPTION_HANDLERS
from core.request import AnyRequest, PlatformRequest, refuse_unusable_address
from tests.conftest import client_for


class Note(msgspec.Struct):
    text: Annotated[str, Meta(max_length=5)]
    stars: int = 0


@post("/notes")
async def add_note(data: JSONBody[Note]) -> Note:
    return data


@post("/many")
async def add_notes(data: JSONBody[list[Note]]) -> int:
    return len(data)


@post("/maybe")
async def maybe(data: JSONBody[Note | None] = None) -> bool:
    return data is None


@post("/raw")
async def raw(request: AnyRequest) -> object:
    return await request.json()


@get("/notes/{note_id:int}")
async def show_note(note_id: FromPath[int]) -> int:
    return note_id


@get("/named/{name:str}")
async def show_named(name: FromPath[str], search: FromQuery[str] = "") -> str:
    return name + search


async def filters(starred: FromQuery[bool | None] = None) -> bool | None:
    return starred


@get("/filtered", dependencies={"starred_filter": filters})
async def show_filtered(
    starred_filter: NamedDependency[bool | None],
    stars: FromQuery[int | None] = None,
    search: FromQuery[str | None] = None,
) -> list[object]:
    return [starred_filter, stars, search]


@pytest.fixture
async def notes() -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(
        [add_note, add_notes, maybe, raw, show_note, show_named, show_filtered],
        request_class=PlatformRequest,
        before_request=refuse_unusable_address,
        exception_handlers=EXCEPTION_HANDLERS,
        logging_config=None,
    )
    async with client_for(app) as client:
        yield client


async def test_good_body(notes: httpx.AsyncClient) -> None:
    answer = await notes.post("/notes", json={"text": "hi", "unknown": 1})
    assert (answer.status_code, answer.json()) == (201, {"text": "hi", "stars": 0})


async def test_types_are_strict(notes: httpx.AsyncClient) -> None:
    answer = await notes.post("/notes", json={"text": "too long", "stars": "3"})
    assert answer.json()["errors"] == {
        "text": ["Must have at most 5 characters."],
        "stars": ["Must be a whole number."],
    }


async def test_list_as_body(notes: httpx.AsyncClient) -> None:
    assert (await notes.post("/many", json=[{"text": "a"}, {"text": "b"}])).json() == 2
    answer = await notes.post("/many", json=[{"text": "a"}, {}])
    assert answer.json()["errors"] == {"1.text": ["This field is required."]}


async def test_optional_body(notes: httpx.AsyncClient) -> None:
    assert (await notes.post("/maybe")).json() is True
    assert (await notes.post("/maybe", json={"text": "a"})).json() is False
    assert (await notes.post("/maybe", json={})).status_code == 422


async def test_handler_that_reads_the_body_itself(notes: httpx.AsyncClient) -> None:
    assert (await notes.post("/raw", json={"a": [1]})).json() == {"a": [1]}


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "application/ld+json"])
async def test_kinds_of_json(notes: httpx.AsyncClient, media_type: str) -> None:
    answer = await notes.post("/notes", content=b'{"text": "a"}', headers={"Content-Type": media_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/notes/7", 200),
        ("/notes/-7", 200),
        (f"/notes/{2**63 - 1}", 200),
        (f"/notes/{2**63}", 404),
        ("/notes/seven", 404),
        ("/named/ana", 200),
        ("/named/a%00a", 404),
        ("/named/ana?search=b", 200),
        ("/named/ana?search=%00", 422),
    ],
)
async def test_addresses(notes: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await notes.get(path)).status_code == status


async def test_nul_in_the_query_names_the_parameter(notes: httpx.AsyncClient) -> None:
    answer = await notes.get("/named/ana?search=a%00b&other=%00")
    nul = ["Contains a character that cannot be stored."]
    assert answer.json()["errors"] == {"search": nul, "other": nul}


async def test_caller_who_hangs_up_is_no_failure() -> None:
    """The body ends before it is whole: told as malformed, whoever may still read it."""
    app = Litestar(
        [add_note], request_class=PlatformRequest, exception_handlers=EXCEPTION_HANDLERS, logging_config=None
    )
    incoming: Iterator[dict[str, object]] = iter(
        [{"type": "http.request", "body": b'{"te', "more_body": True}, {"type": "http.disconnect"}],
    )
    outgoing: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return next(incoming)

    async def send(message: dict[str, object]) -> None:
        outgoing.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/notes",
        "raw_path": b"/notes",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"content-type", b"application/json"), (b"host", b"recado.test")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    assert outgoing[0]["status"] == 400


@pytest.mark.parametrize("name", ["stars", "starred"])
async def test_the_word_null_is_no_number_and_no_switch(notes: httpx.AsyncClient, name: str) -> None:
    answer = await notes.get(f"/filtered?{name}=null&search=x")
    assert (answer.status_code, answer.json()["errors"]) == (422, {name: ["Is not valid."]})


async def test_the_word_null_is_a_text(notes: httpx.AsyncClient) -> None:
    assert (await notes.get("/filtered?search=null&stars=3&starred=true")).json() == [True, 3, "null"]
