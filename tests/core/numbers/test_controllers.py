"""Servers and numbers over HTTP, against a simulated WAHA."""

import asyncio
from typing import Any

import httpx
import pytest

from core import database
from core.contacts.suppressions import remember
from core.numbers import polling, senders
from core.plugin.testing import unreachable_url
from tests.conftest import ClientOf
from tests.core.numbers.messaging import (
    KEY,
    PHONE,
    StartWaha,
    Waha,
    add_number,
    add_server,
    connect,
    eventually,
    give_plan,
    until_connection,
)
from tests.factories import Member

PNG = b"\x89PNG\r\n\x1a\n"


class TestServers:
    async def test_a_server_is_probed_when_it_is_added(self, admin: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        assert server["status"] is True
        assert server["status_reason"] == ""
        assert server["capabilities"]["engine"] == "GOWS"
        assert server["capabilities"]["client_message_id"] is True
        assert server["credentials"] == {"api_key": "***"}
        assert server["checked_at"] is not None

    async def test_a_server_that_does_not_answer_is_kept_with_the_reason(self, admin: httpx.AsyncClient) -> None:
        server = await add_server(admin, Waha(unreachable_url()))
        assert server["status"] is False
        assert server["capabilities"] is None
        assert "could not be reached" in server["status_reason"]

    async def test_credentials_are_encrypted_at_rest(self, admin: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        stored = await database.fetch_value("SELECT credentials FROM servers WHERE id = $1", server["id"])
        assert KEY not in str(stored)

    async def test_a_masked_secret_stays(self, admin: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        path = f"/api/admin/servers/{server['id']}"
        answer = await admin.patch(path, json={"credentials": {"api_key": "***"}, "capacity": 3})
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] is True
        assert answer.json()["data"]["capacity"] == 3

    async def test_a_new_secret_is_tried_at_once(self, admin: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        path = f"/api/admin/servers/{server['id']}"
        answer = await admin.patch(path, json={"credentials": {"api_key": "another-key"}})
        assert answer.json()["data"]["status"] is False
        assert "another-key" not in answer.text
        assert answer.json()["data"]["capabilities"]["engine"] == "GOWS"

    async def test_all_problems_are_named_at_once(self, admin: httpx.AsyncClient) -> None:
        body = {"name": "x", "provider": "waha", "url": "ftp://x", "credentials": {"api_key": 5, "key": "y"}}
        answer = await admin.post("/api/admin/servers", json=body)
        assert answer.status_code == 422
        assert sorted(answer.json()["errors"]) == ["credentials.api_key", "credentials.key", "url"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://user:pass@waha:3000",
            "http://",
            "waha:3000",
            "file:///etc/passwd",
            "http://waha:99999",
            "http://waha/?a=1",
            "http://wa ha",
        ],
    )
    async def test_unusable_addresses_are_refused(self, admin: httpx.AsyncClient, url: str) -> None:
        answer = await admin.post("/api/admin/servers", json={"name": "x", "provider": "waha", "url": url})
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["url"]

    async def test_an_unknown_provider_is_refused(self, admin: httpx.AsyncClient) -> None:
        answer = await admin.post("/api/admin/servers", json={"name": "x", "provider": "nobody", "url": "http://x"})
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["provider"]

    async def test_names_are_unique_for_a_provider(self, admin: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        body = {"name": server["name"], "provider": "waha", "url": waha.url}
        answer = await admin.post("/api/admin/servers", json=body)
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["name"]

    async def test_probing_again_notices_a_server_that_came_up(
        self, admin: httpx.AsyncClient, start_waha: StartWaha
    ) -> None:
        server = await add_server(admin, Waha(unreachable_url()))
        waha = await start_waha()
        await database.execute("UPDATE servers SET url = $2 WHERE id = $1", server["id"], waha.url)
        answer = await admin.post(f"/api/admin/servers/{server['id']}/probe")
        assert answer.status_code == 200
        assert answer.json()["data"]["status"] is True

    async def test_a_server_with_numbers_is_not_deleted(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        number = await add_number(tenant, server["id"])
        path = f"/api/admin/servers/{server['id']}"
        refused = await admin.delete(path)
        assert refused.status_code == 409
        assert refused.json()["code"] == "server_in_use"
        assert (await tenant.delete(f"/api/numbers/{number['id']}")).status_code == 204
        assert (await admin.delete(path)).status_code == 204
        assert (await admin.get(path)).status_code == 404

    async def test_users_see_no_address_and_no_credentials(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        answer = await tenant.get("/api/servers", params={"search": server["name"]})
        assert answer.json()["data"] == [
            {"id": server["id"], "name": server["name"], "provider": "waha", "status": True}
        ]
        assert (await tenant.get("/api/servers", params={"search": waha.url})).json()["data"] == []

    async def test_only_administrators_administrate(self, tenant: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
        assert (await tenant.get("/api/admin/servers")).status_code == 403
        assert (await client.get("/api/admin/servers")).status_code == 401


class TestNumbers:
    async def test_the_plan_limits_numbers(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, user: Member, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        await give_plan(user.id, numbers_limit=1)
        await add_number(tenant, server["id"])
        answer = await tenant.post("/api/numbers", json={"server_id": server["id"]})
        assert answer.status_code == 402

    async def test_two_requests_at_once_do_not_pass_the_limit(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, user: Member, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        await give_plan(user.id, numbers_limit=2)
        answers = await asyncio.gather(
            *(tenant.post("/api/numbers", json={"server_id": server["id"]}) for _ in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [201, 201, 402, 402, 402, 402]

    async def test_a_granted_number_does_not_count(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, user: Member, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        await give_plan(user.id, numbers_limit=1)
        answer = await admin.post("/api/admin/numbers", json={"user_id": user.id, "server_id": server["id"]})
        assert answer.status_code == 201
        assert answer.json()["data"]["extra"] is True
        await add_number(tenant, server["id"])

    async def test_the_server_has_to_have_room(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        server = await add_server(admin, waha, capacity=1)
        await add_number(tenant, server["id"])
        answer = await tenant.post("/api/numbers", json={"server_id": server["id"]})
        assert answer.status_code == 409
        assert answer.json()["code"] == "server_full"

    async def test_an_old_waha_holds_one_number(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, start_waha: StartWaha
    ) -> None:
        waha = await start_waha(version="2026.2.1")
        server = await add_server(admin, waha)
        number = await add_number(tenant, server["id"])
        answer = await tenant.post("/api/numbers", json={"server_id": server["id"]})
        assert answer.json()["code"] == "server_full"
        await tenant.post(f"/api/numbers/{number['id']}/connect")
        await waha.scan("default")
        await until_connection(tenant, number["id"], "connected")

    async def test_a_server_that_never_answered_takes_no_numbers(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient
    ) -> None:
        server = await add_server(admin, Waha(unreachable_url()))
        answer = await tenant.post("/api/numbers", json={"server_id": server["id"]})
        assert answer.status_code == 409
        assert answer.json()["code"] == "server_not_ready"

    async def test_an_unknown_server_is_named(self, tenant: httpx.AsyncClient) -> None:
        answer = await tenant.post("/api/numbers", json={"server_id": 2**62})
        assert answer.status_code == 422
        assert list(answer.json()["errors"]) == ["server_id"]

    async def test_another_tenants_number_is_not_there(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, other_user: Member, api: ClientOf, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        path = f"/api/numbers/{number['id']}"
        async with api(other_user) as stranger:
            answers = [
                await stranger.get(path),
                await stranger.patch(path, json={"name": "mine"}),
                await stranger.delete(path),
                await stranger.get(f"{path}/qr"),
                await stranger.post(f"{path}/check", json={"phone": PHONE}),
                await stranger.post(f"{path}/test-message", json={"phone": PHONE, "text": "x"}),
                *[await stranger.post(f"{path}/{verb}") for verb in ("connect", "disconnect", "logout")],
            ]
            assert [answer.status_code for answer in answers] == [404] * 9
            assert (await stranger.get("/api/numbers")).json()["meta"]["total"] == 0
        assert (await tenant.get(path)).json()["data"]["name"] == "Shop"

    async def test_a_number_is_renamed_and_taken_out_of_use(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        answer = await tenant.patch(f"/api/numbers/{number['id']}", json={"name": "Office", "status": False})
        assert answer.json()["data"]["name"] == "Office"
        assert answer.json()["data"]["status"] is False

    async def test_a_number_has_caps_of_its_own(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        path = f"/api/numbers/{number['id']}"
        none = dict.fromkeys(("per_hour", "per_day", "checks_per_minute", "checks_per_day"))
        assert number["settings"] == none
        changed = await tenant.patch(path, json={"settings": {"per_day": 70}})
        assert changed.json()["data"]["settings"] == {**none, "per_day": 70}
        assert (await tenant.patch(path, json={"name": "x"})).json()["data"]["settings"]["per_day"] == 70
        refused = await tenant.patch(path, json={"settings": {"per_day": 0, "per_week": 1}})
        assert refused.status_code == 422
        assert set(refused.json()["errors"]) == {"settings.per_day", "settings.per_week"}

    async def test_no_secret_is_answered(self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        row = await database.fetch_row("SELECT webhook_token, webhook_secret FROM numbers WHERE id = $1", number["id"])
        answer = await tenant.get("/api/numbers")
        assert row is not None
        assert row["webhook_token"] not in answer.text
        assert row["webhook_secret"] not in answer.text

    async def test_the_list_is_filtered(self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> None:
        server = await add_server(admin, waha)
        connected, _ = await add_number(tenant, server["id"]), await add_number(tenant, server["id"])
        await connect(tenant, waha, connected)
        answer = await tenant.get("/api/numbers", params={"status_connection": "true"})
        assert [number["id"] for number in answer.json()["data"]] == [connected["id"]]


class TestSignIn:
    async def test_a_scan_connects_the_number_by_webhook(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        assert number["connection"] == "stopped"
        connected = await connect(tenant, waha, number)
        assert connected["status_connection"] is True
        assert connected["number"] == PHONE
        assert connected["first_connected_at"] is not None

    async def test_the_code_is_a_picture_or_json(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        path = f"/api/numbers/{number['id']}"
        await tenant.post(f"{path}/connect")
        picture = await tenant.get(f"{path}/qr")
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(PNG)
        json = await tenant.get(f"{path}/qr", headers={"Accept": "application/json"})
        assert json.json()["data"]["kind"] == "qr"
        assert json.json()["data"]["value"].startswith("2@")

    async def test_a_pairing_code_is_asked_for_by_phone(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        path = f"/api/numbers/{number['id']}"
        await tenant.post(f"{path}/connect")
        answer = await tenant.get(f"{path}/qr", params={"phone": f"+{PHONE}"})
        assert answer.status_code == 200
        assert answer.json()["data"]["kind"] == "pairing_code"
        assert (await tenant.get(f"{path}/qr", params={"phone": "12"})).status_code == 422

    async def test_a_number_that_is_not_being_connected_has_no_code(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        answer = await tenant.get(f"/api/numbers/{number['id']}/qr")
        assert answer.status_code == 409
        assert answer.json()["code"] == "not_connecting"

    async def test_a_connected_number_has_no_code(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        answer = await tenant.get(f"/api/numbers/{number['id']}/qr")
        assert answer.status_code == 409
        assert answer.json()["code"] == "already_connected"

    async def test_disconnecting_keeps_the_sign_in(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        answer = await tenant.post(f"/api/numbers/{number['id']}/disconnect")
        assert answer.status_code == 200
        await until_connection(tenant, number["id"], "stopped")
        await tenant.post(f"/api/numbers/{number['id']}/connect")
        await until_connection(tenant, number["id"], "connected")

    async def test_logging_out_needs_a_new_scan(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        assert (await tenant.post(f"/api/numbers/{number['id']}/logout")).status_code == 200
        await until_connection(tenant, number["id"], "sign_in")

    async def test_a_provider_that_fails_is_named_and_its_answer_is_not(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        number = await add_number(tenant, server["id"])
        await database.execute("UPDATE servers SET url = $2 WHERE id = $1", server["id"], unreachable_url())
        answer = await tenant.post(f"/api/numbers/{number['id']}/connect")
        assert answer.status_code == 502
        assert answer.json()["code"] == "provider_unavailable"
        assert answer.json()["detail"] == "The service behind waha did not do what was asked."

    async def test_deleting_removes_the_session(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        assert (await tenant.delete(f"/api/numbers/{number['id']}")).status_code == 204
        assert await waha.session(number["instance"]) is None
        assert (await tenant.get(f"/api/numbers/{number['id']}")).status_code == 404

    async def test_a_removal_that_failed_is_made_up_for(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        server = await add_server(admin, waha)
        number = await add_number(tenant, server["id"])
        await connect(tenant, waha, number)
        await database.execute("UPDATE servers SET url = $2 WHERE id = $1", server["id"], unreachable_url())
        assert (await tenant.delete(f"/api/numbers/{number['id']}")).status_code == 204
        assert await waha.session(number["instance"]) is not None
        await database.execute("UPDATE servers SET url = $2 WHERE id = $1", server["id"], waha.url)
        await database.execute("UPDATE numbers SET poll_at = now() WHERE id = $1", number["id"])
        await polling.poll()
        assert await waha.session(number["instance"]) is None
        assert await database.fetch_value("SELECT removed_at FROM numbers WHERE id = $1", number["id"]) is not None


class TestPolling:
    async def test_a_lost_webhook_is_made_up_for(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        await waha.fault("lost_webhooks", count=-1, match={"session": number["instance"]})
        await waha.set_status(number["instance"], "SCAN_QR_CODE")
        await database.execute("UPDATE numbers SET poll_at = now() WHERE id = $1", number["id"])
        await polling.poll()
        found = (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]
        assert found["connection"] == "sign_in"
        assert found["status_connection"] is False

    async def test_a_stopped_sender_is_asked_again(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        await senders.mark_stopped(number["id"], "session_not_working", until=None, scope="sender")
        found = (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]
        assert (found["status_connection"], found["connection_reason"]) == (False, "session_not_working")
        await database.execute("UPDATE numbers SET poll_at = now() WHERE id = $1", number["id"])
        await polling.poll()
        assert (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]["status_connection"] is True


class TestTrials:
    async def test_a_phone_is_looked_up_once(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        path = f"/api/numbers/{number['id']}/check"
        first = await tenant.post(path, json={"phone": "+55 31 98765-4321"})
        assert first.json()["data"] == {"phone": "5531987654321", "exists": True, "address": "553187654321@c.us"}
        await waha.fault("500", count=-1, match={"path": "/api/contacts"})
        assert (await tenant.post(path, json={"phone": "5531987654321"})).json() == first.json()

    async def test_a_phone_that_does_not_exist(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        answer = await tenant.post(f"/api/numbers/{number['id']}/check", json={"phone": "5511987650000"})
        assert answer.json()["data"] == {"phone": "5511987650000", "exists": False, "address": ""}

    async def test_an_unconnected_number_checks_and_sends_nothing(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        path = f"/api/numbers/{number['id']}"
        checked = await tenant.post(f"{path}/check", json={"phone": PHONE})
        sent = await tenant.post(f"{path}/test-message", json={"phone": PHONE, "text": "Hello"})
        assert [checked.json()["code"], sent.json()["code"]] == ["not_connected", "not_connected"]

    async def test_a_test_message_arrives(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        body = {"phone": "+5511912345678", "text": "Hello"}
        answer = await tenant.post(f"/api/numbers/{number['id']}/test-message", json=body)
        assert answer.json()["data"]["outcome"] == "accepted"
        assert [message["text"] for message in await waha.arrivals()] == ["Hello"]

    async def test_a_blocked_phone_gets_none(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, user: Member, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        await database.execute("INSERT INTO block_contacts (user_id, number) VALUES ($1, $2)", user.id, "5511912345678")
        body = {"phone": "+5511912345678", "text": "Hello"}
        answer = await tenant.post(f"/api/numbers/{number['id']}/test-message", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "blocked")
        assert await waha.arrivals() == []

    async def test_whoever_opted_out_gets_none_though_their_contact_is_gone(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, user: Member, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        await remember(user.id, ["5511912345678"])
        body = {"phone": "+5511912345678", "text": "Hello"}
        answer = await tenant.post(f"/api/numbers/{number['id']}/test-message", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "blocked")
        assert await waha.arrivals() == []

    async def test_a_test_message_goes_to_an_address(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        group = (
            await waha.http.post(
                "/simulator/groups", json={"session": number["instance"], "name": "Team", "participants": []}
            )
        ).json()["id"]
        answer = await tenant.post(
            f"/api/numbers/{number['id']}/test-message", json={"address": group, "text": "Hello"}
        )
        assert answer.json()["data"]["outcome"] == "accepted"
        assert [message["chat_id"] for message in await waha.arrivals()] == [group]

    async def test_an_hours_test_messages_are_few(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        number = await add_number(tenant, (await add_server(admin, waha))["id"])
        await connect(tenant, waha, number)
        body = {"phone": "+5511912345678", "text": "Hello"}
        path = f"/api/numbers/{number['id']}/test-message"
        statuses = [(await tenant.post(path, json=body)).status_code for _ in range(21)]
        assert statuses == [200] * 20 + [429]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"server_id": "one"}),
        ("POST", "", {"provider": ""}),
        ("POST", "", []),
        ("POST", "", {"server_id": 1, "extra": True}),
        ("POST", "", {"server_id": 1, "name": "x" * 121}),
        ("POST", "/0/check", {"phone": 5}),
        ("POST", "/0/test-message", {"phone": PHONE}),
        ("POST", "/0/test-message", {"text": "Hello"}),
        ("POST", "/0/test-message", {"phone": PHONE, "address": "4242", "text": "Hello"}),
        ("POST", "/0/test-message", {"address": "5511912345678@c.us", "text": "Hello"}),
    ],
)
async def test_bad_input_is_422(tenant: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    answer = await tenant.request(method, f"/api/numbers{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] != {}


async def test_the_scheduler_wakes_a_worker_when_something_is_due(
    admin: httpx.AsyncClient, waha: Waha, messaging: Any
) -> None:
    server = await add_server(admin, waha)
    await database.execute("UPDATE servers SET checked_at = NULL WHERE id = $1", server["id"])
    before = await messaging.redis.llen("recado:jobs")
    await polling.sweep()

    async def queued() -> bool:
        return bool(await messaging.redis.llen("recado:jobs") == before + 1)

    await eventually(queued)
