"""How servers were, and what is raised when they fail."""

from typing import Any

import httpx
import pytest

from core import database
from core.errors import NotFoundError
from core.numbers.health import examine_server, forget_old
from core.numbers.senders import mark_stopped
from core.plugin.testing import unreachable_url
from tests.core.numbers.messaging import Waha, add_number, add_server, connect


async def _history(admin: httpx.AsyncClient, server: Any) -> list[Any]:
    answer = await admin.get(f"/api/admin/servers/{server['id']}/health")
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["data"]
    return found


async def _alarms(server: Any) -> list[tuple[str, int]]:
    rows = await database.fetch(
        "SELECT kind, noticed FROM alarms WHERE subject_type = 'server' AND subject_id = $1 AND cleared_at IS NULL",
        server["id"],
    )
    return [(row["kind"], row["noticed"]) for row in rows]


async def test_each_look_is_a_line(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> None:
    server = await add_server(admin, waha)
    number = await add_number(tenant, server["id"])
    await connect(tenant, waha, number)
    await database.execute("UPDATE numbers SET recent_sends = 20, recent_acknowledged = 19 WHERE id = $1", number["id"])
    await examine_server(server["id"])
    newest, first = await _history(admin, server)
    assert (first["status"], first["numbers"], first["numbers_connected"]) == (True, 0, 0)
    assert (newest["version"], newest["engine"]) == ("2026.7.1", "GOWS")
    assert (first["sessions"], newest["sessions"], newest["connected"]) == (0, 1, 1)
    assert (newest["numbers"], newest["numbers_connected"], newest["sends"], newest["acknowledged"]) == (1, 1, 20, 19)
    assert newest["last_event_at"] is not None
    shown = (await admin.get(f"/api/admin/servers/{server['id']}")).json()["data"]
    assert {name: shown[name] for name in ("numbers", "numbers_connected", "sends", "acknowledged")} == {
        "numbers": 1,
        "numbers_connected": 1,
        "sends": 20,
        "acknowledged": 19,
    }


async def test_a_server_that_is_away_twice_raises_one_alarm_until_it_is_back(
    admin: httpx.AsyncClient, waha: Waha
) -> None:
    server = await add_server(admin, waha)
    await database.execute("UPDATE servers SET url = $2 WHERE id = $1", server["id"], unreachable_url())
    await admin.post(f"/api/admin/servers/{server['id']}/probe")
    assert await _alarms(server) == []
    await examine_server(server["id"])
    await examine_server(server["id"])
    assert await _alarms(server) == [("server_down", 2)]
    newest = (await _history(admin, server))[0]
    assert newest["status"] is False
    assert "could not be reached" in newest["reason"]
    await database.execute("UPDATE servers SET url = $2 WHERE id = $1", server["id"], waha.url)
    await examine_server(server["id"])
    assert await _alarms(server) == []


async def test_a_server_that_refuses_raises_one_alarm_for_all_its_numbers(
    admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
) -> None:
    server = await add_server(admin, waha)
    numbers = [await add_number(tenant, server["id"]) for _ in range(2)]
    for number in numbers:
        await mark_stopped(number["id"], "unauthorized", until=None, scope="server")
    assert await _alarms(server) == [("server_refuses", 2)]
    await examine_server(server["id"])
    assert await _alarms(server) == []


async def test_alarms_of_a_deleted_server_are_over(admin: httpx.AsyncClient) -> None:
    server = await add_server(admin, Waha(unreachable_url()))
    await examine_server(server["id"])
    assert await _alarms(server) == [("server_down", 1)]
    await admin.delete(f"/api/admin/servers/{server['id']}")
    assert await _alarms(server) == []


async def test_old_lines_are_deleted(admin: httpx.AsyncClient, waha: Waha) -> None:
    server = await add_server(admin, waha)
    await database.execute(
        "UPDATE server_health SET checked_at = now() - interval '15 days' WHERE server_id = $1", server["id"]
    )
    await examine_server(server["id"])
    await forget_old()
    assert len(await _history(admin, server)) == 1


async def test_an_unknown_server_has_no_history(admin: httpx.AsyncClient, tenant: httpx.AsyncClient) -> None:
    assert (await admin.get(f"/api/admin/servers/{10**12}/health")).status_code == 404
    assert (await tenant.get(f"/api/admin/servers/{10**12}/health")).status_code == 403
    with pytest.raises(NotFoundError):
        await examine_server(10**12)
