"""The second factor over HTTP."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pyotp
import pytest
from litestar import Litestar

from core import database
from core.accounts.two_factor import STEP_SECONDS, fitting_step
from core.config import AccountsConfig
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.factories import PASSWORD, Member

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


async def _enable(client: httpx.AsyncClient) -> tuple[pyotp.TOTP, list[str]]:
    """Switch the second factor on; return the app's codes and the recovery codes."""
    begun = await client.post("/api/auth/two-factor", json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    totp = pyotp.TOTP(begun.json()["data"]["secret"])
    answer = await client.post("/api/auth/two-factor/confirm", json={"code": totp.at(time.time() - STEP_SECONDS)})
    assert answer.status_code == 200, answer.text
    return totp, answer.json()["data"]["recovery_codes"]


async def _challenge(app: Litestar, member: Member, **more: Any) -> str:
    async with client_for(app) as client:
        answer = await client.post("/api/auth/login", json={"email": member.email, "password": PASSWORD, **more})
    assert answer.status_code == 202, answer.text
    assert set(answer.json()) == {"challenge", "expiresIn"}
    return str(answer.json()["challenge"])


async def _verify(app: Litestar, challenge: str, code: str) -> httpx.Response:
    async with client_for(app) as client:
        return await client.post("/api/auth/two-factor/verify", json={"challenge": challenge, "code": code})


async def test_a_sign_in_goes_on_with_a_code(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    totp, codes = await _enable(tenant)
    assert len(set(codes)) == 10
    answer = await _verify(app, await _challenge(app, user), totp.now())
    assert answer.status_code == 200
    assert answer.json()["user"]["id"] == user.id
    assert (await tenant.get("/api/auth/two-factor")).json()["data"] == {"enabled": True, "recovery_codes_left": 10}


async def test_a_cookie_that_was_asked_for_comes_with_the_code(
    tenant: httpx.AsyncClient, app: Litestar, user: Member
) -> None:
    totp, _ = await _enable(tenant)
    answer = await _verify(app, await _challenge(app, user, cookie=True), totp.now())
    assert answer.json()["token"] == ""
    assert answer.cookies["recado_session"].startswith("rcd_")


async def test_no_code_works_twice(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    totp, codes = await _enable(tenant)
    for code in (totp.now(), codes[0]):
        assert (await _verify(app, await _challenge(app, user), code)).status_code == 200
        assert (await _verify(app, await _challenge(app, user), code)).status_code == 422
    assert (await tenant.get("/api/auth/two-factor")).json()["data"]["recovery_codes_left"] == 9


async def test_a_recovery_code_may_be_typed_as_one_likes(
    tenant: httpx.AsyncClient, app: Litestar, user: Member
) -> None:
    _, codes = await _enable(tenant)
    typed = f" {codes[3].replace('-', '').upper()} "
    assert (await _verify(app, await _challenge(app, user), typed)).status_code == 200


async def test_a_challenge_takes_five_wrong_codes(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    totp, _ = await _enable(tenant)
    challenge = await _challenge(app, user)
    for _ in range(5):
        answer = await _verify(app, challenge, "000000")
        assert list(answer.json()["errors"]) == ["code"]
    answer = await _verify(app, challenge, totp.now())
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["challenge"])


async def test_a_challenge_is_answered_once_and_in_time(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    totp, codes = await _enable(tenant)
    challenge = await _challenge(app, user)
    assert (await _verify(app, challenge, totp.now())).status_code == 200
    assert (await _verify(app, challenge, codes[0])).status_code == 422
    late = await _challenge(app, user)
    await database.execute("UPDATE account_tokens SET expires_at = now() WHERE user_id = $1", user.id)
    assert (await _verify(app, late, codes[0])).status_code == 422


async def test_what_changes_it_asks_for_the_password(tenant: httpx.AsyncClient) -> None:
    wrong = {"password": "wrong password"}
    assert (await tenant.post("/api/auth/two-factor", json=wrong)).status_code == 422
    await _enable(tenant)
    for path in ("recovery-codes", "disable"):
        assert (await tenant.post(f"/api/auth/two-factor/{path}", json=wrong)).status_code == 422
    assert (await tenant.get("/api/auth/two-factor")).json()["data"]["enabled"] is True


async def test_it_can_be_switched_off(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    await _enable(tenant)
    again = await tenant.post("/api/auth/two-factor", json={"password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (409, "two_factor_on")
    assert (await tenant.post("/api/auth/two-factor/disable", json={"password": PASSWORD})).status_code == 204
    off = await tenant.post("/api/auth/two-factor/disable", json={"password": PASSWORD})
    assert (off.status_code, off.json()["code"]) == (409, "two_factor_off")
    async with client_for(app) as client:
        body = {"email": user.email, "password": PASSWORD}
        assert (await client.post("/api/auth/login", json=body)).status_code == 200


async def test_new_recovery_codes_end_the_old_ones(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    _, before = await _enable(tenant)
    answer = await tenant.post("/api/auth/two-factor/recovery-codes", json={"password": PASSWORD})
    fresh = answer.json()["data"]["recovery_codes"]
    assert (await _verify(app, await _challenge(app, user), before[0])).status_code == 422
    assert (await _verify(app, await _challenge(app, user), fresh[0])).status_code == 200


async def test_confirming_what_was_not_begun(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.post("/api/auth/two-factor/confirm", json={"code": "123456"})
    assert (answer.status_code, answer.json()["code"]) == (409, "two_factor_not_begun")


async def test_neither_the_secret_nor_a_code_is_readable_in_the_database(
    tenant: httpx.AsyncClient, user: Member
) -> None:
    totp, codes = await _enable(tenant)
    row = await database.fetch_row("SELECT * FROM user_two_factors WHERE user_id = $1", user.id)
    assert row is not None
    assert all(secret not in str(dict(row)) for secret in (totp.secret, *codes))


async def test_an_administrator_takes_it_away_from_whoever_lost_it(
    tenant: httpx.AsyncClient, api: ClientOf, administrator: Member, user: Member
) -> None:
    await _enable(tenant)
    async with api(administrator) as admin:
        path = f"/api/admin/users/{user.id}/two-factor"
        assert [(await admin.delete(path)).status_code for _ in range(2)] == [204, 409]
    assert (await tenant.get("/api/auth/two-factor")).json()["data"]["enabled"] is False


async def test_administrators_may_have_to_have_it(api: ClientOf, administrator: Member, runtime: Runtime) -> None:
    before = runtime.config
    accounts = AccountsConfig(administrators_need_two_factor=True)
    runtime.config = msgspec.structs.replace(before, accounts=accounts)
    try:
        async with api(administrator) as admin:
            refused = await admin.get("/api/admin/users")
            assert (refused.status_code, refused.json()["code"]) == (403, "two_factor_required")
            await _enable(admin)
            assert (await admin.get("/api/admin/users")).status_code == 200
    finally:
        runtime.config = before


@pytest.mark.parametrize(("off", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_clocks_may_differ_by_one_step(off: int, *, fits: bool) -> None:
    moment = 1_800_000_000.0
    code = pyotp.TOTP(SECRET).at(int(moment) + off * STEP_SECONDS)
    assert (fitting_step(SECRET, code, 0, at=moment) is not None) is fits


def test_an_older_step_than_the_last_one_does_not_fit() -> None:
    moment = 1_800_000_000.0
    present = int(moment // STEP_SECONDS)
    code = pyotp.TOTP(SECRET).at(int(moment))
    assert fitting_step(SECRET, code, present - 1, at=moment) == present
    assert fitting_step(SECRET, code, present, at=moment) is None
