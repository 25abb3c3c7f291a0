"""The first administrator of an empty installation."""

import asyncio

import httpx
import pytest

from core import database
from core.accounts import setup
from core.errors import ConflictError
from tests.factories import PASSWORD


def body(token: str, email: str = "root@example.com") -> dict[str, str]:
    return {"token": token, "email": email, "name": "Root", "password": PASSWORD}


async def administrators() -> object:
    return await database.fetch_value("SELECT count(*) FROM users WHERE profile = 'administrator'")


@pytest.mark.usefixtures("empty_installation")
async def test_set_up(client: httpx.AsyncClient) -> None:
    token = await setup.create_setup_token()
    answer = await client.post("/api/setup", json=body(token))
    assert answer.status_code == 201
    signed_in = answer.json()
    assert (signed_in["user"]["profile"], signed_in["user"]["plan_id"]) == ("administrator", None)
    listed = await client.get("/api/admin/users", headers={"Authorization": f"Bearer {signed_in['token']}"})
    assert listed.json()["meta"]["total"] == 1


@pytest.mark.usefixtures("empty_installation")
async def test_only_the_hash_is_stored() -> None:
    token = await setup.create_setup_token()
    stored = await database.fetch_value("SELECT value FROM settings WHERE key = 'setup_token_hash'")
    assert stored != token
    assert len(str(stored)) == 64


@pytest.mark.usefixtures("empty_installation")
async def test_token_works_once(client: httpx.AsyncClient) -> None:
    token = await setup.create_setup_token()
    await client.post("/api/setup", json=body(token))
    again = await client.post("/api/setup", json=body(token, "second@example.com"))
    assert (again.status_code, again.json()["code"]) == (409, "already_set_up")
    assert await administrators() == 1


@pytest.mark.usefixtures("empty_installation")
async def test_two_requests_with_the_token_at_once(client: httpx.AsyncClient) -> None:
    token = await setup.create_setup_token()
    answers = await asyncio.gather(
        *(client.post("/api/setup", json=body(token, f"root{number}@example.com")) for number in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await administrators() == 1


@pytest.mark.parametrize("token", ["", "wrong", "é"])
@pytest.mark.usefixtures("empty_installation")
async def test_wrong_token(client: httpx.AsyncClient, token: str) -> None:
    await setup.create_setup_token()
    answer = await client.post("/api/setup", json=body(token))
    assert (answer.status_code, answer.json()["code"]) == (403, "setup_token")
    assert await administrators() == 0


@pytest.mark.usefixtures("empty_installation")
async def test_no_token_was_printed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/setup", json=body("anything"))
    assert (answer.status_code, answer.json()["code"]) == (403, "setup_token")


@pytest.mark.usefixtures("empty_installation")
async def test_later_token_ends_the_earlier(client: httpx.AsyncClient) -> None:
    first = await setup.create_setup_token()
    await setup.create_setup_token()
    assert (await client.post("/api/setup", json=body(first))).status_code == 403


@pytest.mark.usefixtures("empty_installation")
async def test_bad_input_leaves_the_token_usable(client: httpx.AsyncClient) -> None:
    token = await setup.create_setup_token()
    assert (await client.post("/api/setup", json=body(token, "no address"))).status_code == 422
    assert (await client.post("/api/setup", json=body(token))).status_code == 201


@pytest.mark.usefixtures("administrator")
async def test_no_token_once_there_is_an_administrator() -> None:
    with pytest.raises(ConflictError) as caught:
        await setup.create_setup_token()
    assert caught.value.code == "already_set_up"
