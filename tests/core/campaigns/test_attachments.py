"""Files in drafts: what may stand there, and what goes out with a message."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, get
from litestar.response import Response

from core import database
from core.campaigns import attachments
from core.media import actors
from core.plugin import Capabilities, MessageKind
from core.runtime import Runtime
from tests.conftest import Serve
from tests.core.campaigns.making import give_plan, make_contacts, make_number, make_public, phone, standing
from tests.core.campaigns.sink import FULL
from tests.core.media.files import JPEG, MP4, PDF, VOICE, do_jobs, upload
from tests.factories import Member

HANDLERS = actors.HANDLERS
ALL_KINDS = msgspec.structs.replace(
    FULL, media=(MessageKind.IMAGE, MessageKind.AUDIO, MessageKind.DOCUMENT, MessageKind.VIDEO)
)


@pytest.fixture
async def user(user: Member) -> Member:
    await give_plan(user.id, medias=True)
    return user


@pytest.fixture
def outbound_to_loopback(runtime: Runtime) -> Iterator[None]:
    before = runtime.config
    allowed = msgspec.structs.replace(before.outbound, allowed_networks=("127.0.0.0/8",))
    runtime.config = msgspec.structs.replace(before, outbound=allowed)
    yield
    runtime.config = before


async def draft(
    client: httpx.AsyncClient, user: Member, *messages: dict[str, Any], capabilities: Capabilities = ALL_KINDS
) -> httpx.Response:
    number_id = await make_number(user.id, capabilities=capabilities)
    contact_ids = await make_contacts(user.id, [phone()])
    body = {
        "name": "Files",
        "type": 3,
        "number_ids": [number_id],
        "public_id": await make_public(user.id, contact_ids),
        "messages": list(messages),
    }
    return await client.post("/api/campaigns", json=body)


async def problems(client: httpx.AsyncClient, user: Member, *messages: dict[str, Any]) -> dict[str, list[str]]:
    answer = await draft(client, user, *messages)
    assert answer.status_code == 422, answer.text
    found: dict[str, list[str]] = answer.json()["errors"]
    return found


async def test_each_type_takes_its_file(tenant: httpx.AsyncClient, user: Member) -> None:
    ids = [(await upload(tenant, content, f"a.{place}"))["id"] for place, content in enumerate((JPEG, VOICE, PDF, MP4))]
    made = await draft(
        tenant,
        user,
        {"type_message": 2, "media_id": ids[0], "content": "Oi {{ nome }}"},
        {"type_message": 3, "media_id": ids[1]},
        {"type_message": 4, "media_id": ids[2]},
        {"type_message": 5, "media_id": ids[3], "content": "{Veja|Olhe}"},
        {"type_message": 4, "media_id": ids[0]},
    )

    assert made.status_code == 201, made.text
    messages = made.json()["data"]["messages"]
    assert [(one["type_message"], one["media_id"]) for one in messages] == [
        (2, ids[0]),
        (3, ids[1]),
        (4, ids[2]),
        (5, ids[3]),
        (4, ids[0]),
    ]
    assert [one["media"]["content_type"] for one in messages[:2]] == ["image/jpeg", "audio/ogg; codecs=opus"]
    paths = await database.fetch(
        "SELECT m.media_path = f.path AS same FROM messages m JOIN media f ON f.id = m.media_id"
        " WHERE m.campaign_id = $1",
        made.json()["data"]["id"],
    )
    assert [row["same"] for row in paths] == [True] * 5


async def test_what_does_not_go_together(tenant: httpx.AsyncClient, user: Member) -> None:
    picture = (await upload(tenant, JPEG))["id"]
    voice = (await upload(tenant, VOICE))["id"]
    found = await problems(
        tenant,
        user,
        {"content": ""},
        {"content": "Hi", "media_id": picture},
        {"type_message": 2},
        {"type_message": 3, "media_id": voice, "content": "heard?"},
        {"type_message": 3, "media_id": picture},
        {"type_message": 2, "media_id": picture, "media_url": "https://93.184.216.34/a.jpg"},
        {"type_message": 2, "media_id": 2**60},
        {"type_message": 2, "media_id": picture, "content": "{{ nome"},
    )

    assert {field: texts[0][:24] for field, texts in found.items()} == {
        "messages.0.content": "Must have at least 1 cha",
        "messages.1.type_message": "A text message carries n",
        "messages.2.media_id": "Choose a file with media",
        "messages.3.content": "A voice message has no t",
        "messages.4.media_id": "This file cannot be sent",
        "messages.5.media_url": "Give media_id or media_u",
        "messages.6.media_id": "There is no such file.",
        "messages.7.content": found["messages.7.content"][0][:24],
    }


async def test_another_tenants_file_is_not_there(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, user: Member, other_user: Member
) -> None:
    await give_plan(other_user.id, medias=True)
    picture = (await upload(stranger, JPEG))["id"]
    found = await problems(tenant, user, {"type_message": 2, "media_id": picture})
    assert found == {"messages.0.media_id": ["There is no such file."]}


async def test_a_number_must_be_able_to_send_it(tenant: httpx.AsyncClient, user: Member) -> None:
    picture = (await upload(tenant, JPEG))["id"]
    able = msgspec.structs.replace(FULL, media=(MessageKind.DOCUMENT,))
    answer = await draft(
        tenant,
        user,
        {"type_message": 2, "media_id": picture},
        {"type_message": 4, "media_id": picture},
        capabilities=able,
    )

    number_id = await database.fetch_value("SELECT max(id) FROM numbers WHERE user_id = $1", user.id)
    assert answer.json()["errors"] == {
        "messages.0.type_message": [
            f"Number {number_id} cannot send this type of message: choose another one, or have its server updated."
        ]
    }


async def test_the_plan_must_include_files(tenant: httpx.AsyncClient, user: Member) -> None:
    picture = (await upload(tenant, JPEG))["id"]
    await give_plan(user.id, medias=False)
    with_file = await draft(tenant, user, {"type_message": 2, "media_id": picture})
    text_alone = await draft(tenant, user, {"content": "Oi"})

    assert (with_file.status_code, with_file.json()["code"]) == (402, "plan_feature")
    assert text_alone.status_code == 201


@get("/a.jpg", media_type="image/jpeg")
async def _picture() -> Response[bytes]:
    return Response(JPEG + b"by address", media_type="image/jpeg")


async def test_an_address_becomes_a_file_of_ours(
    tenant: httpx.AsyncClient, user: Member, serve: Serve, outbound_to_loopback: None
) -> None:
    del outbound_to_loopback
    base_url = await serve(Litestar([_picture], openapi_config=None))
    made = await draft(tenant, user, {"type_message": 2, "media_url": f"{base_url}/a.jpg", "content": "Oi"})
    assert made.status_code == 201, made.text
    place = f"/api/campaigns/{made.json()['data']['id']}"
    message = made.json()["data"]["messages"][0]
    assert message["media"]["state"] == "fetching"

    early = await tenant.post(f"{place}/start")
    assert early.json()["errors"] == {
        "messages.0.media_id": ["The file is still being fetched: start once it is ready."]
    }
    await do_jobs("media.fetch")
    message = (await tenant.get(place)).json()["data"]["messages"][0]
    assert (message["media"]["state"], message["media"]["filename"]) == ("ready", "a.jpg")
    path = await database.fetch_value("SELECT media_path FROM messages WHERE id = $1", message["id"])
    assert path == await database.fetch_value("SELECT path FROM media WHERE id = $1", message["media_id"])
    assert (await tenant.post(f"{place}/start")).status_code == 202


async def test_an_address_that_may_not_be_called(tenant: httpx.AsyncClient, user: Member) -> None:
    found = await problems(
        tenant, user, {"content": "Oi"}, {"type_message": 2, "media_url": "http://169.254.169.254/latest"}
    )
    assert list(found) == ["messages.1.media_url"]
    assert await database.fetch_value("SELECT count(*) FROM media WHERE user_id = $1", user.id) == 0


async def test_a_file_that_could_not_be_fetched_stops_the_start(
    tenant: httpx.AsyncClient, user: Member, outbound_to_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del outbound_to_loopback
    monkeypatch.setattr("core.media.fetching.PAUSES", (0.01, 0.01))
    made = await draft(tenant, user, {"type_message": 2, "media_url": "http://127.0.0.1:9/a.jpg"})
    await do_jobs("media.fetch")
    started = await tenant.post(f"/api/campaigns/{made.json()['data']['id']}/start")

    assert started.json()["errors"] == {"messages.0.media_id": ["The file could not be fetched: choose another one."]}


async def test_a_draft_keeps_its_file_and_may_get_another(tenant: httpx.AsyncClient, user: Member) -> None:
    first, second = (await upload(tenant, JPEG))["id"], (await upload(tenant, JPEG + b"2"))["id"]
    made = await draft(tenant, user, {"type_message": 2, "media_id": first})
    place = f"/api/campaigns/{made.json()['data']['id']}"

    renamed = await tenant.patch(place, json={"name": "Renamed"})
    assert renamed.json()["data"]["messages"][0]["media_id"] == first
    changed = await tenant.patch(place, json={"messages": [{"type_message": 2, "media_id": second}]})
    assert changed.json()["data"]["messages"][0]["media_id"] == second


async def test_a_deleted_file_stops_the_start(tenant: httpx.AsyncClient, user: Member) -> None:
    picture = (await upload(tenant, JPEG))["id"]
    made = await draft(tenant, user, {"type_message": 2, "media_id": picture})
    place = f"/api/campaigns/{made.json()['data']['id']}"
    assert (await tenant.delete(f"/api/media/{picture}")).status_code == 204

    assert (await tenant.get(place)).json()["data"]["messages"][0]["media"] is None
    started = await tenant.post(f"{place}/start")
    assert started.json()["errors"] == {"messages.0.media_id": ["There is no such file."]}


async def test_a_running_campaign_keeps_its_file(tenant: httpx.AsyncClient, user: Member) -> None:
    picture = (await upload(tenant, JPEG))["id"]
    made = await draft(tenant, user, {"type_message": 2, "media_id": picture})
    campaign_id = made.json()["data"]["id"]
    await tenant.post(f"/api/campaigns/{campaign_id}/start")

    assert (await tenant.delete(f"/api/media/{picture}")).status_code == 409
    await attachments.pause_without_file(campaign_id)
    assert await standing(campaign_id) == (3, "media_missing")
    assert (await tenant.delete(f"/api/media/{picture}")).status_code == 409


async def test_a_start_and_a_deletion_at_once_leave_no_campaign_without_its_file(
    tenant: httpx.AsyncClient, user: Member
) -> None:
    for mark in range(8):
        picture = (await upload(tenant, JPEG + bytes([mark])))["id"]
        made = await draft(tenant, user, {"type_message": 2, "media_id": picture})
        start = tenant.post(f"/api/campaigns/{made.json()['data']['id']}/start")
        delete = tenant.delete(f"/api/media/{picture}")
        pair = (start, delete) if mark % 2 else (delete, start)
        answers = sorted(answer.status_code for answer in await asyncio.gather(*pair))
        assert answers in ([202, 409], [204, 422])
