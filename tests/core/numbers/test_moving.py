"""Numbers put on another server."""

from typing import Any

import httpx
import pytest

from core import database
from core.numbers import polling, senders
from core.plugin.testing import unreachable_url
from tests.core.numbers.messaging import (
    PHONE,
    StartWaha,
    Waha,
    add_number,
    add_server,
    connect,
    eventually,
    until_connection,
)


@pytest.fixture
async def other(start_waha: StartWaha) -> Waha:
    """A second server, whose events have ids of their own."""
    return await start_waha(seed=7)


async def _move(admin: httpx.AsyncClient, number: Any, server_id: int | None) -> httpx.Response:
    return await admin.post(f"/api/admin/numbers/{number['id']}/move", json={"server_id": server_id})


async def _gone(waha: Waha, instance: str) -> None:
    """Wait until the sweep took a number off its server."""
    await database.execute("UPDATE numbers SET poll_at = now() WHERE deleted_at IS NOT NULL AND removed_at IS NULL")
    await polling.poll()

    async def is_gone() -> bool:
        return await waha.session(instance) is None

    await eventually(is_gone)


async def test_a_moved_number_is_signed_in_anew_and_gone_from_where_it_was(
    admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha, other: Waha
) -> None:
    number = await add_number(tenant, (await add_server(admin, waha))["id"])
    await connect(tenant, waha, number)
    target = (await add_server(admin, other))["id"]
    answer = await _move(admin, number, target)
    moved = answer.json()["data"]
    assert answer.status_code == 200
    assert (moved["id"], moved["server_id"], moved["connection"], moved["connection_reason"]) == (
        number["id"],
        target,
        "stopped",
        "moved",
    )
    assert moved["instance"] != number["instance"]
    await _gone(waha, number["instance"])
    await connect(tenant, other, moved)
    assert (await other.session(moved["instance"]))["me"]["id"].startswith(PHONE)
    assert [one["id"] for one in (await tenant.get("/api/numbers")).json()["data"]] == [number["id"]]


async def test_events_of_the_old_server_say_nothing_of_the_number(
    admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha, other: Waha
) -> None:
    number = await add_number(tenant, (await add_server(admin, waha))["id"])
    await connect(tenant, waha, number)
    moved = (await _move(admin, number, (await add_server(admin, other))["id"])).json()["data"]
    await connect(tenant, other, moved)
    await waha.set_status(number["instance"], "FAILED")
    await until_connection(tenant, number["id"], "connected")


async def test_without_a_server_it_goes_to_the_emptiest_other_one(
    admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha, other: Waha
) -> None:
    await database.execute("UPDATE servers SET status = false")
    full = (await add_server(admin, waha, capacity=5))["id"]
    number = await add_number(tenant, full)
    target = (await add_server(admin, other, capacity=1))["id"]
    assert (await _move(admin, number, None)).json()["data"]["server_id"] == target
    back = await _move(admin, number, None)
    assert back.json()["data"]["server_id"] == full


async def test_the_old_server_need_not_answer(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, other: Waha) -> None:
    dead = await add_server(admin, Waha(unreachable_url()))
    await database.execute('UPDATE servers SET capabilities = \'{"version": "1"}\' WHERE id = $1', dead["id"])
    number = await add_number(tenant, dead["id"])
    answer = await _move(admin, number, (await add_server(admin, other))["id"])
    assert answer.status_code == 200
    left = await database.fetch_row("SELECT id, removed_at FROM numbers WHERE instance = $1", number["instance"])
    assert left is not None
    assert left["removed_at"] is None
    senders.forget()


async def test_what_cannot_be_is_refused_and_changes_nothing(
    admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha, other: Waha
) -> None:
    here = (await add_server(admin, waha))["id"]
    number = await add_number(tenant, here)
    full = (await add_server(admin, other, capacity=1))["id"]
    await add_number(tenant, full)
    refused = [await _move(admin, number, server_id) for server_id in (here, full, 10**12)]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [
        (409, "already_there"),
        (409, "server_full"),
        (422, "invalid_input"),
    ]
    assert (await _move(admin, {"id": 10**12}, here)).status_code == 404
    assert (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]["instance"] == number["instance"]


async def test_only_administrators_move_numbers(
    admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
) -> None:
    number = await add_number(tenant, (await add_server(admin, waha))["id"])
    assert (await _move(tenant, number, None)).status_code == 403
