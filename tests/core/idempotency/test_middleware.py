"""``Idempotency-Key`` over HTTP: one effect and one answer for each key, in one process and over several."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, post
from litestar.exceptions import HTTPException

from core import database
from core.app import create_app
from core.config import PlatformConfig
from core.errors import ConflictError
from core.idempotency import services
from core.idempotency.middleware import IDEMPOTENT_CALL
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.core.campaigns.making import give_plan
from tests.factories import Member

PATH = "/api/campaigns"
DRAFT = {"name": "Christmas"}

COMMAND = """
import asyncio, sys
import httpx
from core.app import create_app
from core.config import load_config
from core.startup import running_process

async def main(token, key):
    config = load_config()
    async with running_process(config):
        transport = httpx.ASGITransport(app=create_app(config))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        async with httpx.AsyncClient(transport=transport, base_url="http://recado.test", headers=headers) as client:
            print("ready", flush=True)
            sys.stdin.readline()
            print((await client.post("/api/campaigns", json={"name": "Christmas"})).status_code, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def tenant(user: Member) -> Member:
    """A user who may make campaigns."""
    await give_plan(user.id)
    return user


async def create(client: httpx.AsyncClient, key: str, draft: dict[str, Any] = DRAFT, **headers: str) -> httpx.Response:
    return await client.post(PATH, json=draft, headers={"Idempotency-Key": key, **headers})


async def campaigns_of(member: Member) -> int:
    count = await database.fetch_value("SELECT count(*) FROM campaigns WHERE user_id = $1", member.id)
    assert isinstance(count, int)
    return count


async def changed_holder(member: Member, before: object) -> object:
    """Wait until the tenant's key is held by another run than ``before``."""
    while True:
        holder = await database.fetch_value("SELECT holder FROM idempotency_keys WHERE user_id = $1", member.id)
        if holder != before:
            return holder
        await asyncio.sleep(0.01)


async def age(member: Member, interval: str) -> None:
    """Let time pass for every key of a tenant."""
    await database.execute(
        "UPDATE idempotency_keys SET created_at = created_at - $2::text::interval,"
        " lease_until = lease_until - $2::text::interval WHERE user_id = $1",
        member.id,
        interval,
    )


async def test_a_repetition_gets_the_same_answer_and_does_nothing(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        first, second = await create(client, "a"), await create(client, "a")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await campaigns_of(tenant) == 1


async def test_a_key_in_quotes_is_the_key(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        first, second = await create(client, '"8e03978e"'), await create(client, "8e03978e")
    assert second.json() == first.json()


async def test_without_a_key_every_request_counts(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        for _ in range(2):
            assert (await client.post(PATH, json=DRAFT)).status_code == 201
    assert await campaigns_of(tenant) == 2


async def test_another_request_with_the_key_is_422(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        campaign_id = (await create(client, "a")).json()["data"]["id"]
        body = await create(client, "a", {"name": "Easter"})
        path = await client.post(f"{PATH}/{campaign_id}/start", headers={"Idempotency-Key": "a"})
    for answer in (body, path):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await campaigns_of(tenant) == 1


async def test_a_key_belongs_to_its_tenant(api: ClientOf, tenant: Member, other_user: Member) -> None:
    await give_plan(other_user.id)
    async with api(tenant) as mine, api(other_user) as theirs:
        first, second = await create(mine, "a"), await create(theirs, "a", {"name": "Easter"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json()["data"]["name"] == "Easter"


@pytest.mark.parametrize("key", ["", " ", '""', "x" * 256, "ação", "a\tb", "a\x7fb"])
async def test_a_malformed_key_is_400(api: ClientOf, tenant: Member, key: str) -> None:
    async with api(tenant) as client:
        answer = await client.post(PATH, json=DRAFT, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await campaigns_of(tenant) == 0


async def test_two_keys_are_400(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        answer = await client.post(PATH, json=DRAFT, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert answer.json()["code"] == "idempotency_key_malformed"


async def test_without_a_token_it_is_401(client: httpx.AsyncClient) -> None:
    assert (await create(client, "a")).status_code == 401


async def test_what_was_not_valid_may_be_mended_under_the_same_key(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        assert (await create(client, "a", {"name": ""})).status_code == 422
        malformed = await client.post(
            PATH, content=b"{", headers={"Idempotency-Key": "a", "Content-Type": "application/json"}
        )
        assert malformed.status_code == 400
        assert (await create(client, "a")).status_code == 201


async def test_a_refusal_of_the_route_is_kept(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        campaign_id = (await create(client, "a")).json()["data"]["id"]
        await client.post(f"{PATH}/{campaign_id}/cancel")
        path = f"{PATH}/{campaign_id}/start"
        answers = [await client.post(path, headers={"Idempotency-Key": "b"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert answers[1].json() == answers[0].json()
    assert answers[1].headers["content-type"] == "application/problem+json"


async def test_two_at_once_are_done_once(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        answers = await asyncio.gather(*(create(client, "a") for _ in range(8)))
        made = [answer for answer in answers if answer.status_code == 201]
        running = [answer for answer in answers if answer.status_code == 409]
        assert len(made) + len(running) == 8
        assert {answer.json()["code"] for answer in running} <= {"idempotency_in_progress"}
        assert len({answer.content for answer in made}) == 1
        assert (await create(client, "a")).content == made[0].content
    assert await campaigns_of(tenant) == 1


@pytest.mark.slow
async def test_two_processes_at_once_do_it_once(config: PlatformConfig, tenant: Member, tmp_path: Path) -> None:
    assert config.database.url is not None
    assert config.redis.url is not None
    settings = tmp_path / "platform.toml"
    settings.write_text(f"[limits]\nper_minute = {config.limits.per_minute}\n")
    environment = {
        **os.environ,
        "RECADO_CONFIG": str(settings),
        "RECADO_DATABASE_URL": config.database.url.reveal(),
        "RECADO_REDIS_URL": config.redis.url.reveal(),
    }
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    arguments = [sys.executable, "-c", COMMAND, tenant.token, "a"]
    processes = [
        await asyncio.create_subprocess_exec(*arguments, env=environment, **pipes)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        while not (line := await process.stdout.readline()).startswith(b"ready"):
            assert line, "it ended early"
    outputs = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    statuses = sorted(int(output.split()[-1]) for output, _ in outputs)
    assert statuses in ([201, 201], [201, 409])
    assert await campaigns_of(tenant) == 1


async def test_one_that_runs_is_409_until_its_lease_ends(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        await create(client, "a")
        await database.execute("UPDATE idempotency_keys SET status = NULL WHERE user_id = $1", tenant.id)
        during = await create(client, "a")
        await age(tenant, "61 seconds")
        after = await create(client, "a")
    assert (during.status_code, during.json()["code"]) == (409, "idempotency_in_progress")
    assert after.status_code == 201
    assert "idempotency-replayed" not in after.headers


async def test_a_run_that_lost_its_lease_changes_nothing(
    api: ClientOf, tenant: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is taken while it works, as when the machine slept: it must not commit."""
    monkeypatch.setattr(services, "LEASE_SECONDS", -1.0)
    async with api(tenant) as client:
        async with database.connection() as held:
            # Whoever makes a campaign waits for the user's row.
            lock = held.transaction()
            await lock.start()
            await held.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", tenant.id)
            first = asyncio.create_task(create(client, "a"))
            holder = await changed_holder(tenant, None)
            second = asyncio.create_task(create(client, "a"))
            await changed_holder(tenant, holder)
            await lock.rollback()
        statuses = [(await first).status_code, (await second).status_code]
    assert statuses == [409, 201]
    assert await campaigns_of(tenant) == 1


async def test_a_key_is_new_again_after_a_day(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        await create(client, "a")
        await age(tenant, "24 hours")
        assert "idempotency-replayed" not in (await create(client, "a", {"name": "Easter"})).headers
    assert await campaigns_of(tenant) == 2


async def test_a_body_that_is_too_long_is_413(api: ClientOf, tenant: Member) -> None:
    async with api(tenant) as client:
        assert (await create(client, "a", {"name": "x" * 2**20})).status_code == 413
        assert (await create(client, "a")).status_code == 201


async def test_the_description_tells_of_the_header(app: Litestar) -> None:
    paths = app.openapi_schema.to_schema()["paths"]
    takes = {
        operation["operationId"]
        for item in paths.values()
        for operation in item.values()
        if any(found["name"] == "Idempotency-Key" for found in operation.get("parameters", ()))
    }
    assert takes == {
        *("CreateCampaign", "DuplicateCampaign", "StartCampaign", "RetryCampaign", "ResolveCampaign"),
        *("StartImport", "CreateNumber", "SendTestMessage", "SyncContacts"),
        *("BeginCheckout", "RetryPayment", "ChangePlan", "CancelSubscription", "ResumeSubscription"),
        *("AdminCancelSubscription", "AdminRefundPayment"),
        *("LabelContacts", "DeleteContacts", "BlockContacts", "UnblockContacts", "UndoContactDeletion"),
    }


class TestRouteThatCalls:
    """A route with effects outside the database."""

    @pytest.fixture
    async def answers(self) -> list[int | Exception]:
        """What the route answers, in turn."""
        return []

    @pytest.fixture
    async def caller(
        self, runtime: Runtime, user: Member, answers: list[int | Exception], monkeypatch: pytest.MonkeyPatch
    ) -> httpx.AsyncClient:
        @post("/api/calls", middleware=[IDEMPOTENT_CALL], status_code=200, operation_id="Call")
        async def call() -> int:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("core.app.CONTROLLERS", (call,))
        return client_for(create_app(runtime.config), user.token)

    async def _call(self, caller: httpx.AsyncClient) -> httpx.Response:
        return await caller.post("/api/calls", headers={"Idempotency-Key": "a"})

    async def test_is_done_once(self, caller: httpx.AsyncClient, answers: list[int | Exception]) -> None:
        answers += [1, 2]
        assert [(await self._call(caller)).json() for _ in range(2)] == [1, 1]
        assert answers == [2]

    async def test_failures_are_not_kept(self, caller: httpx.AsyncClient, answers: list[int | Exception]) -> None:
        answers += [HTTPException(status_code=503), ConflictError("Once more.", code="try_again"), 3]
        assert [(await self._call(caller)).status_code for _ in range(3)] == [500, 409, 200]

    async def test_cut_off_is_uncertain(
        self, caller: httpx.AsyncClient, user: Member, answers: list[int | Exception]
    ) -> None:
        answers += [1]
        await self._call(caller)
        await database.execute("UPDATE idempotency_keys SET status = NULL WHERE user_id = $1", user.id)
        await age(user, "61 seconds")
        answer = await self._call(caller)
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_unknown")
