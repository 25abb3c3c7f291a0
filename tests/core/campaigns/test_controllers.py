"""Campaigns over HTTP."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.campaigns.completion import complete_finished
from core.campaigns.rendering import FILTERS
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_ANY_ATTEMPT, FROM_LEASED
from tests.core.campaigns.making import (
    FAILED,
    UNKNOWN,
    Made,
    claim_all,
    give_plan,
    insert,
    leased,
    make_campaign,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    run_jobs,
    running,
    settle_rows,
    standing,
    states,
)
from tests.core.downloads import rows_of
from tests.factories import Member

ROUTES = (
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/start"),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("POST", "/resolve"),
    ("POST", "/duplicate"),
    ("GET", "/recipients"),
    ("POST", "/recipients/1/resolve"),
    ("GET", "/recipients/1/explain"),
    ("GET", "/preview"),
    ("GET", "/report"),
    ("GET", "/report.csv"),
    ("GET", "/explain"),
    ("GET", "/plan"),
    ("POST", "/entropy"),
    ("GET", "/entropy"),
)


async def _call(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    body = {"action": "retry"} if path.endswith("resolve") else {} if method == "PATCH" else None
    return await client.request(method, f"/api/campaigns/{path}", json=body)


async def _draft(user: Member, **fields: Any) -> dict[str, Any]:
    """Everything a campaign needs, as a frontend would send it."""
    await give_plan(user.id)
    number_id = await make_number(user.id)
    public_id = await make_public(user.id, await make_contacts(user.id, [phone(), phone()]))
    return {
        "name": "Christmas",
        "type": 3,
        "number_ids": [number_id],
        "public_id": public_id,
        "settings": {"pacing": {"per_hour": 100}, "check_numbers": False},
        "messages": [{"content": "Oi {{ nome }}"}, {"content": "Até já", "delay": 60}],
        **fields,
    }


async def _statuses(client: httpx.AsyncClient, campaign_id: int) -> dict[str, int]:
    """Call every route of one campaign and return what each answered, without those that answered 404."""
    found = {
        f"{method} {path}": (await _call(client, method, f"{campaign_id}{path}")).status_code for method, path in ROUTES
    }
    return {route: status for route, status in found.items() if status != 404}


class TestEveryRoute:
    async def test_of_another_tenants_campaign_is_404(self, user: Member, stranger: httpx.AsyncClient) -> None:
        made = await running(user)
        assert await _statuses(stranger, made.id) == {}
        assert await standing(made.id) == (2, "sending")

    @pytest.mark.parametrize("campaign_id", [2**40, 2**63 - 1, 2**70])
    async def test_of_no_campaign_is_404(self, tenant: httpx.AsyncClient, campaign_id: int) -> None:
        assert await _statuses(tenant, campaign_id) == {}

    async def test_of_a_deleted_campaign_is_404(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await make_campaign(user)
        assert (await tenant.delete(f"/api/campaigns/{made.id}")).status_code == 204
        assert await _statuses(tenant, made.id) == {}

    async def test_needs_a_user(self, client: httpx.AsyncClient) -> None:
        assert set((await _statuses(client, 1)).values()) == {401}
        assert len(await _statuses(client, 1)) == len(ROUTES)
        for method in ("GET", "POST"):
            assert (await client.request(method, "/api/campaigns", json={})).status_code == 401


class TestCreate:
    async def test_makes_a_draft(self, user: Member, tenant: httpx.AsyncClient) -> None:
        draft = await _draft(user)
        answer = await tenant.post("/api/campaigns", json=draft)
        assert answer.status_code == 201, answer.text
        made = answer.json()["data"]
        assert (made["status"], made["status_reason"], made["progress"]) == (1, "draft", 0)
        assert made["number_ids"] == draft["number_ids"]
        assert made["number_id"] == draft["number_ids"][0]
        assert [(message["position"], message["content"], message["delay"]) for message in made["messages"]] == [
            (1, "Oi {{ nome }}", 0),
            (2, "Até já", 60),
        ]
        assert made["settings"]["pacing"]["per_hour"] == 100
        assert made["totals"]["total"] == 0
        assert (await tenant.get(f"/api/campaigns/{made['id']}")).json()["data"] == made

    async def test_a_name_is_enough(self, user: Member, tenant: httpx.AsyncClient) -> None:
        await give_plan(user.id)
        answer = await tenant.post("/api/campaigns", json={"name": "Later"})
        assert answer.status_code == 201
        assert answer.json()["data"]["settings"]["pacing"]["warm_up"] is True

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"name": ""}, {"name"}),
            ({"name": "x" * 161}, {"name"}),
            ({"name": 5}, {"name"}),
            ({"name": None}, {"name"}),
            ({"name": "a\0b"}, {"name"}),
            ({"type": 9}, {"type"}),
            ({"type": "custom"}, {"type"}),
            ({"number_ids": [0]}, {"number_ids.0"}),
            ({"number_ids": ["x"]}, {"number_ids.0"}),
            ({"number_ids": 5}, {"number_ids"}),
            ({"number_ids": list(range(1, 52))}, {"number_ids"}),
            ({"number_ids": [2**62]}, {"number_ids"}),
            ({"number_ids": [2**64]}, {"number_ids.0"}),
            ({"public_id": -1}, {"public_id"}),
            ({"public_id": 2**62}, {"public_id"}),
            ({"public_id": 2**65}, {"public_id"}),
            ({"schedule_date": "tomorrow"}, {"schedule_date"}),
            ({"settings": {"schedule": {"timezone": "Nowhere/Town"}}}, {"settings.schedule.timezone"}),
            ({"settings": {"schedule": {"missed": "perhaps"}}}, {"settings.schedule.missed"}),
            ({"settings": {"pacing": {"holidays": {"country": "XX"}}}}, {"settings.pacing.holidays.country"}),
            (
                {"settings": {"pacing": {"holidays": {"country": "BR", "subdivision": "XX"}}}},
                {"settings.pacing.holidays.subdivision"},
            ),
            ({"settings": {"pacing": {"holidays": {"subdivision": "SP"}}}}, {"settings.pacing.holidays.subdivision"}),
            ({"settings": {"pacing": {"warm_up_ramp": []}}}, {"settings.pacing.warm_up_ramp"}),
            ({"messages": [{"content": ""}]}, {"messages.0.content"}),
            ({"messages": [{"content": "x" * 4097}]}, {"messages.0.content"}),
            ({"messages": [{}]}, {"messages.0.content"}),
            ({"messages": [{"content": "a\0b"}]}, {"messages.0.content"}),
            (
                {"messages": [{"content": "{{ a + b }}"}, {"content": "{% x"}]},
                {"messages.0.content", "messages.1.content"},
            ),
            ({"messages": [{"content": "x", "delay": -1}]}, {"messages.0.delay"}),
            ({"messages": [{"content": "x", "delay": 1.5}]}, {"messages.0.delay"}),
            ({"messages": [{"content": "x", "type_message": 2}]}, {"messages.0.type_message"}),
            ({"messages": [{"content": "x"}] * 21}, {"messages"}),
            ({"settings": {"pacing": {"delay_min": -1}}}, {"settings.pacing.delay_min"}),
            ({"settings": {"pacing": {"delay_min": 5, "delay_max": 1}}}, {"settings.pacing.delay_max"}),
            ({"settings": {"pacing": {"per_day": 0}}}, {"settings.pacing.per_day"}),
            (
                {"settings": {"pacing": {"windows": [{"start": "8:00", "end": "25:00"}]}}},
                {"settings.pacing.windows.0.start", "settings.pacing.windows.0.end"},
            ),
            (
                {"settings": {"pacing": {"windows": [{"start": "08:00+02:00", "end": "09:00"}]}}},
                {"settings.pacing.windows.0.start"},
            ),
            (
                {"settings": {"pacing": {"windows": [{"start": "10:00", "end": "10:00"}]}}},
                {"settings.pacing.windows.0.end"},
            ),
            (
                {"settings": {"pacing": {"windows": [{"start": "08:00", "end": "24:00", "weekdays": [7]}]}}},
                {"settings.pacing.windows.0.weekdays.0"},
            ),
            ({"settings": {"surprise": 1}}, {"settings.surprise"}),
            ({"settings": {"labels": {"any": [1]}}}, {"settings.labels"}),
            ({"surprise": 1}, {"surprise"}),
            ({"name": "", "type": 9, "public_id": "x"}, {"name", "type", "public_id"}),
        ],
    )
    async def test_bad_input_names_its_fields_and_makes_nothing(
        self, user: Member, tenant: httpx.AsyncClient, fields: dict[str, Any], named: set[str]
    ) -> None:
        draft = await _draft(user)
        answer = await tenant.post("/api/campaigns", json={**draft, **fields})
        assert answer.status_code == 422, answer.text
        assert named <= answer.json()["errors"].keys()
        assert await database.fetch_value("SELECT count(*) FROM campaigns") == 0

    @pytest.mark.parametrize(
        "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "", 5]
    )
    async def test_no_moment_is_an_internal_error(self, user: Member, tenant: httpx.AsyncClient, moment: Any) -> None:
        answer = await tenant.post("/api/campaigns", json={**await _draft(user), "schedule_date": moment})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"].keys() == {"schedule_date"}

    @pytest.mark.parametrize("content", ["{{ " + "(" * 1000 + "a" + ")" * 1000 + " }}", "{{ 0x" + "f" * 4000 + " }}"])
    async def test_no_template_is_an_internal_error(
        self, user: Member, tenant: httpx.AsyncClient, content: str
    ) -> None:
        draft = await _draft(user, messages=[{"content": content}])
        answer = await tenant.post("/api/campaigns", json=draft)
        assert answer.status_code == 422
        assert answer.json()["errors"].keys() == {"messages.0.content"}

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff"])
    async def test_what_is_no_draft(self, user: Member, tenant: httpx.AsyncClient, body: bytes) -> None:
        await give_plan(user.id)
        answer = await tenant.post("/api/campaigns", content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}

    async def test_another_tenants_rows_are_none(
        self, user: Member, other_user: Member, tenant: httpx.AsyncClient
    ) -> None:
        theirs = await _draft(other_user)
        label = await insert("labels", user_id=other_user.id, name="VIP")
        await give_plan(user.id)
        audiences = {"all": [theirs["public_id"]]}
        draft = {**theirs, "type": 4, "settings": {"labels": {"none": [label]}, "audiences": audiences}}
        answer = await tenant.post("/api/campaigns", json=draft)
        assert answer.status_code == 422
        assert answer.json()["errors"].keys() == {
            "number_ids",
            "public_id",
            "settings.labels",
            "settings.audiences",
        }

    async def test_over_the_plan_is_402(self, user: Member, tenant: httpx.AsyncClient) -> None:
        await give_plan(user.id, campaigns_limit=0)
        answer = await tenant.post("/api/campaigns", json={"name": "x"})
        assert answer.status_code == 402


class TestUpdate:
    async def test_changes_what_is_sent_and_keeps_the_rest(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = (await tenant.post("/api/campaigns", json=await _draft(user))).json()["data"]
        answer = await tenant.patch(f"/api/campaigns/{made['id']}", json={"name": "New", "public_id": None})
        assert answer.status_code == 200, answer.text
        changed = answer.json()["data"]
        assert {name for name in made if made[name] != changed[name]} == {"name", "public_id", "version", "updated_at"}

    async def test_messages_are_replaced(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = (await tenant.post("/api/campaigns", json=await _draft(user))).json()["data"]
        answer = await tenant.patch(f"/api/campaigns/{made['id']}", json={"messages": [{"content": "Only"}]})
        assert [message["content"] for message in answer.json()["data"]["messages"]] == ["Only"]

    @pytest.mark.parametrize("body", [{"name": ""}, {"messages": [{"content": "{{"}]}, {"public_id": 2**50}, {"x": 1}])
    async def test_bad_input_changes_nothing(
        self, user: Member, tenant: httpx.AsyncClient, body: dict[str, Any]
    ) -> None:
        made = (await tenant.post("/api/campaigns", json=await _draft(user))).json()["data"]
        answer = await tenant.patch(f"/api/campaigns/{made['id']}", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"]
        assert (await tenant.get(f"/api/campaigns/{made['id']}")).json()["data"] == made

    async def test_of_a_running_one_changes_what_is_not_sent_yet(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        answer = await tenant.patch(f"/api/campaigns/{made.id}", json={"messages": [{"content": "Olá {{ nome }}"}]})
        assert answer.status_code == 200
        (message,) = answer.json()["data"]["messages"]
        assert (message["id"], message["content"]) == (made.message_ids[0], "Olá {{ nome }}")

    async def test_of_one_that_is_over_is_409(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user, contacts=0)
        assert await complete_finished(await now()) == [made.id]
        answer = await tenant.patch(f"/api/campaigns/{made.id}", json={"name": "New"})
        assert answer.status_code == 409
        assert answer.json()["code"] == "campaign_state"


async def _post(client: httpx.AsyncClient, made: Made, action: str) -> httpx.Response:
    return await client.post(f"/api/campaigns/{made.id}/{action}")


class TestLife:
    async def test_start_answers_at_once(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await make_campaign(user)
        answer = await _post(tenant, made, "start")
        assert answer.status_code == 202
        assert (answer.json()["data"]["status"], answer.json()["data"]["status_reason"]) == (2, "freezing")
        await run_jobs(made.id)
        data = (await tenant.get(f"/api/campaigns/{made.id}")).json()["data"]
        assert (data["status_reason"], data["totals"]["total"], data["totals"]["pending"]) == ("sending", 3, 3)

    async def test_start_of_what_lacks_something_names_it(self, user: Member, tenant: httpx.AsyncClient) -> None:
        await give_plan(user.id)
        made = (await tenant.post("/api/campaigns", json={"name": "x"})).json()["data"]
        answer = await tenant.post(f"/api/campaigns/{made['id']}/start")
        assert answer.status_code == 422
        assert answer.json()["errors"].keys() == {"number_ids", "public_id", "messages"}

    async def test_pause_resume_cancel(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        for action, status, reason in (
            ("pause", 3, "paused_by_user"),
            ("pause", 3, "paused_by_user"),
            ("resume", 2, "sending"),
            ("cancel", 5, "canceled_by_user"),
            ("cancel", 5, "canceled_by_user"),
        ):
            answer = await _post(tenant, made, action)
            assert answer.status_code == 200, answer.text
            assert (answer.json()["data"]["status"], answer.json()["data"]["status_reason"]) == (status, reason)

    @pytest.mark.parametrize(
        ("status", "actions"),
        [
            (1, ("pause", "resume", "retry")),
            (4, ("start", "pause", "resume", "cancel")),
            (5, ("start", "pause", "resume", "retry")),
            (6, ("start", "pause", "resume", "cancel", "retry")),
        ],
    )
    async def test_what_its_state_forbids_is_409(
        self, user: Member, tenant: httpx.AsyncClient, status: int, actions: tuple[str, ...]
    ) -> None:
        made = await make_campaign(user)
        await database.execute("UPDATE campaigns SET status = $2 WHERE id = $1", made.id, status)
        for action in actions:
            answer = await _post(tenant, made, action)
            assert answer.status_code == 409, (action, answer.text)
            assert answer.json()["code"] == "campaign_state"

    async def test_a_running_campaign_is_not_deleted(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        assert (await tenant.delete(f"/api/campaigns/{made.id}")).status_code == 409

    async def test_retry_sends_failed_messages_again(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        moment = await now()
        rows = (await claim_all(made, moment)).claimed
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=RecipientState.FAILED, reason="busy")
        await complete_finished(moment)
        answer = await _post(tenant, made, "retry")
        assert answer.status_code == 202
        await run_jobs(made.id)
        data = (await tenant.get(f"/api/campaigns/{made.id}")).json()["data"]
        assert (data["status"], data["completed_at"], data["totals"]["pending"]) == (2, None, 3)

    async def test_retry_of_some_reasons_leaves_the_others(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows[:1], moment, **FAILED)
        await settle_rows(rows[1:], moment, **{**FAILED, "reason": "refused"})
        answer = await tenant.post(f"/api/campaigns/{made.id}/retry", json={"reasons": ["busy"]})
        assert answer.status_code == 202
        await run_jobs(made.id)
        assert sorted(await states(made.id)) == ["failed:refused", "failed:refused", "pending:retried_by_user"]

    async def test_resolve_decides_of_all_in_doubt(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows, moment, **UNKNOWN)
        answer = await tenant.post(f"/api/campaigns/{made.id}/resolve", json={"action": "assume_sent"})
        assert answer.status_code == 202
        await run_jobs(made.id)
        assert await states(made.id) == ["sent:assumed_sent"] * 3

    @pytest.mark.parametrize(
        ("action", "body"),
        [("retry", {"classes": ["bad"]}), ("retry", {"x": 1}), ("resolve", {}), ("resolve", {"action": "delete"})],
    )
    async def test_a_decision_that_is_none_is_422(
        self, user: Member, tenant: httpx.AsyncClient, action: str, body: dict[str, Any]
    ) -> None:
        made = await running(user)
        answer = await tenant.post(f"/api/campaigns/{made.id}/{action}", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"]

    async def test_duplicate_makes_a_draft_of_the_same(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user, messages=("a", "b"), delays=(0, 60))
        answer = await _post(tenant, made, "duplicate")
        assert answer.status_code == 201
        copy, original = answer.json()["data"], (await tenant.get(f"/api/campaigns/{made.id}")).json()["data"]
        assert (copy["name"], copy["status_reason"], copy["totals"]["total"]) == ("Test (2)", "draft", 0)
        same = ("type", "number_ids", "public_id", "settings")
        assert {name: copy[name] for name in same} == {name: original[name] for name in same}
        assert [(message["content"], message["delay"]) for message in copy["messages"]] == [("a", 0), ("b", 60)]
        named = await tenant.post(f"/api/campaigns/{made.id}/duplicate", json={"name": "Again"})
        assert named.json()["data"]["name"] == "Again"


class TestList:
    async def test_newest_first(self, user: Member, tenant: httpx.AsyncClient) -> None:
        await give_plan(user.id)
        names = [f"Campaign {place}" for place in range(3)]
        for name in names:
            await tenant.post("/api/campaigns", json={"name": name})
        answer = (await tenant.get("/api/campaigns")).json()
        assert [item["name"] for item in answer["data"]] == names[::-1]
        assert answer["meta"] == {"current_page": 1, "per_page": 20, "last_page": 1, "total": 3}

    async def test_pages_sorts_searches_and_filters(self, user: Member, tenant: httpx.AsyncClient) -> None:
        await give_plan(user.id)
        for name in ("Beta", "alpha 100%", "Gamma\\"):
            await tenant.post("/api/campaigns", json={"name": name})

        async def names(**query: str | int) -> list[str]:
            answer = await tenant.get("/api/campaigns", params=query)
            assert answer.status_code == 200, answer.text
            return [item["name"] for item in answer.json()["data"]]

        assert await names(sort="id", per_page=1, page=2) == ["alpha 100%"]
        assert await names(search="ALPHA") == ["alpha 100%"]
        assert await names(search="%") == ["alpha 100%"]
        assert await names(search="_") == []
        assert await names(search="\\") == ["Gamma\\"]
        assert await names(status=1, sort="id") == ["Beta", "alpha 100%", "Gamma\\"]
        assert await names(status=2) == []

    async def test_hides_other_tenants_and_deleted_ones(
        self, user: Member, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        made = await make_campaign(user)
        assert (await stranger.get("/api/campaigns")).json()["data"] == []
        await tenant.delete(f"/api/campaigns/{made.id}")
        assert (await tenant.get("/api/campaigns")).json()["meta"]["total"] == 0

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("status=9", "status"),
            ("status=x", "status"),
            ("sort=password", "sort"),
            ("page=0", "page"),
            ("per_page=101", "per_page"),
        ],
    )
    async def test_bad_questions_are_named(self, tenant: httpx.AsyncClient, query: str, named: str) -> None:
        answer = await tenant.get(f"/api/campaigns?{query}")
        assert answer.status_code == 422, answer.text
        assert named in answer.json()["errors"]


class TestRecipients:
    async def test_are_listed_with_the_seeds_booleans(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        moment = await now()
        rows = (await claim_all(made, moment)).claimed
        seen = {"sent_at": moment, "delivered_at": moment, "read_at": moment}
        await settle_rows(rows[:1], moment, allowed=FROM_ANY_ATTEMPT, state=RecipientState.SENT, **seen)
        await settle_rows(rows[1:2], moment, allowed=FROM_LEASED, state=RecipientState.FAILED, reason="busy")
        await settle_rows(rows[2:], moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN, reason="timeout")
        answer = (await tenant.get(f"/api/campaigns/{made.id}/recipients")).json()
        found = answer["data"]
        assert [(row["state"], row["delivered"], row["readed"], row["error"]) for row in found] == [
            ("sent", True, True, False),
            ("failed", False, False, True),
            ("unknown", False, False, False),
        ]
        assert [row["needs_attention"] for row in found] == [False, False, True]
        assert [row["number"] for row in found] == made.phones
        assert [row["contact_name"] for row in found] == ["Name 0", "Name 1", "Name 2"]
        assert answer["meta"]["total"] == 3

    async def test_are_filtered_searched_and_sorted(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user, messages=("a", "b"))

        async def numbers(**query: str | int) -> list[str]:
            answer = await tenant.get(f"/api/campaigns/{made.id}/recipients", params=query)
            assert answer.status_code == 200, answer.text
            return [row["number"] for row in answer.json()["data"]]

        assert await numbers(message_id=made.message_ids[1]) == made.phones
        assert await numbers(state="sent") == []
        assert await numbers(search=made.phones[1]) == [made.phones[1]] * 2
        assert await numbers(search="%") == []
        assert await numbers(sort="-id", message_id=made.message_ids[0]) == made.phones[::-1]

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("state=lost", "state"),
            ("message_id=x", "message_id"),
            (f"message_id={2**70}", "message_id"),
            ("sort=number", "sort"),
        ],
    )
    async def test_bad_questions_are_named(
        self, user: Member, tenant: httpx.AsyncClient, query: str, named: str
    ) -> None:
        made = await running(user)
        answer = await tenant.get(f"/api/campaigns/{made.id}/recipients?{query}")
        assert answer.status_code == 422, answer.text
        assert named in answer.json()["errors"]


class TestResolve:
    async def _doubtful(self, user: Member) -> tuple[Made, int]:
        made = await running(user, contacts=1)
        moment = await now()
        rows = (await claim_all(made, moment)).claimed
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN)
        return made, rows[0].id

    @pytest.mark.parametrize(("action", "state"), [("retry", "pending"), ("assume_sent", "sent")])
    async def test_decides(self, user: Member, tenant: httpx.AsyncClient, action: str, state: str) -> None:
        made, recipient_id = await self._doubtful(user)
        path = f"/api/campaigns/{made.id}/recipients/{recipient_id}/resolve"
        answer = await tenant.post(path, json={"action": action})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["data"]["state"], answer.json()["data"]["needs_attention"]) == (state, False)
        again = await tenant.post(path, json={"action": action})
        assert (again.status_code, again.json()["code"]) == (409, "recipient_state")

    @pytest.mark.parametrize("body", [{}, {"action": "forget"}, {"action": None}, {"action": "retry", "x": 1}])
    async def test_bad_input_changes_nothing(
        self, user: Member, tenant: httpx.AsyncClient, body: dict[str, Any]
    ) -> None:
        made, recipient_id = await self._doubtful(user)
        answer = await tenant.post(f"/api/campaigns/{made.id}/recipients/{recipient_id}/resolve", json=body)
        assert answer.status_code == 422
        state = await database.fetch_value("SELECT state FROM message_by_contacts WHERE id = $1", recipient_id)
        assert state == "unknown"

    async def test_another_tenants_recipient_in_ones_own_campaign_is_404(
        self, user: Member, other_user: Member, stranger: httpx.AsyncClient
    ) -> None:
        _, recipient_id = await self._doubtful(user)
        own = await running(other_user)
        answer = await stranger.post(
            f"/api/campaigns/{own.id}/recipients/{recipient_id}/resolve", json={"action": "retry"}
        )
        assert answer.status_code == 404


class TestReport:
    async def test_sums_up(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        moment = await now()
        rows = (await claim_all(made, moment)).claimed
        await settle_rows(rows[:2], moment, allowed=FROM_LEASED, state=RecipientState.SENT)
        await settle_rows(rows[2:], moment, allowed=FROM_LEASED, state=RecipientState.FAILED, reason="busy")
        await complete_finished(moment + timedelta(seconds=5))
        report = (await tenant.get(f"/api/campaigns/{made.id}/report")).json()["data"]
        assert (report["status"], report["status_reason"]) == (4, "completed")
        assert report["reasons"] == {"failed": {"busy": 1}}
        totals = report["totals"]
        assert (totals["total"], totals["sent"], totals["failed"], totals["pending"]) == (3, 2, 1, 0)
        assert report["seconds"] >= 5

    async def test_as_csv_has_every_row(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await make_campaign(user, contacts=5)
        await database.execute(
            "UPDATE contacts SET name = $2 WHERE id = $1", made.contact_ids[0], '=HYPERLINK("http://x","y")'
        )
        await tenant.post(f"/api/campaigns/{made.id}/start")
        await run_jobs(made.id)
        answer = await tenant.get(f"/api/campaigns/{made.id}/report.csv")
        rows = rows_of(answer, f"campaign-{made.id}.csv")
        assert [row["number"] for row in rows] == made.phones
        assert rows[0]["contact_name"].startswith("'=HYPERLINK")
        assert {row["state"] for row in rows} == {"pending"}


class TestExplain:
    async def test_says_why_and_when(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user)
        until = await now() + timedelta(minutes=5)
        await database.execute("UPDATE lanes SET pause_until = $1", until)
        found = (await tenant.get(f"/api/campaigns/{made.id}/explain")).json()["data"]
        assert found["sending"] is False
        (reason,) = found["reasons"]
        assert (reason["code"], reason["number_id"]) == ("pause", made.number_ids[0])
        assert reason["until"] == found["next_due_at"]


class TestProgress:
    async def test_counts_what_is_settled(self, user: Member, tenant: httpx.AsyncClient) -> None:
        made = await running(user, contacts=4)
        moment = await now()
        rows = (await claim_all(made, moment)).claimed
        await settle_rows(rows[:1], moment, allowed=FROM_LEASED, state=RecipientState.SENT)
        await settle_rows(rows[1:2], moment, allowed=FROM_LEASED, state=RecipientState.ACCEPTED)
        data = (await tenant.get(f"/api/campaigns/{made.id}")).json()["data"]
        assert data["progress"] == 25
        totals = data["totals"]
        assert (totals["pending"], totals["accepted"], totals["sent"]) == (2, 1, 1)


async def test_a_draft_is_refused_in_the_callers_language(tenant: httpx.AsyncClient, user: Member) -> None:
    await give_plan(user.id)
    draft = {"name": "Natal", "messages": [{"content": "Oi {{ nome | loud }}"}], "number_ids": [2**40]}
    answer = await tenant.post("/api/campaigns", json=draft, headers={"Accept-Language": "pt-BR"})
    assert answer.json()["errors"] == {
        "messages.0.content": [
            "Linha 1, coluna 14: não existe o filtro loud; os permitidos são " + ", ".join(sorted(FILTERS)),
        ],
        "number_ids": [f"Não existe o número {2**40}."],
    }


async def test_an_explanation_follows_the_callers_language(tenant: httpx.AsyncClient, user: Member) -> None:
    await give_plan(user.id)
    campaign_id = (await tenant.post("/api/campaigns", json={"name": "Natal"})).json()["data"]["id"]
    answer = await tenant.get(f"/api/campaigns/{campaign_id}/explain", headers={"Accept-Language": "pt"})
    assert [(one["code"], one["text"]) for one in answer.json()["data"]["reasons"]] == [
        ("draft", "A campanha ainda não foi iniciada.")
    ]


class TestFile:
    async def test_holds_the_campaigns_with_their_totals(
        self, user: Member, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        begun, draft = await running(user, contacts=3), await make_campaign(user)
        rows = rows_of(await tenant.get("/api/campaigns.csv"), "campaigns.csv")
        assert [(row["id"], row["total"], row["pending"]) for row in rows] == [
            (str(draft.id), "0", "0"),
            (str(begun.id), "3", "3"),
        ]
        [row] = rows_of(await tenant.get("/api/campaigns.csv", params={"status": 2}))
        assert row["id"] == str(begun.id)
        assert rows_of(await stranger.get("/api/campaigns.csv")) == []
