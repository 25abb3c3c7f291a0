"""The platform's settings over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.settings import services, typed
from core.settings.keys import BY_KEY, SETTINGS
from tests.conftest import ClientOf
from tests.factories import Member

PATH = "/api/admin/settings"


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(administrator) as opened:
        yield opened
        await database.execute("DELETE FROM settings WHERE key = ANY($1::text[])", list(BY_KEY))


async def _values(admin: httpx.AsyncClient) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in (await admin.get(PATH)).json()["data"]}


async def _change(admin: httpx.AsyncClient, **values: Any) -> httpx.Response:
    return await admin.patch(PATH, json={"values": {key.replace("__", "."): value for key, value in values.items()}})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_default_is_of_its_type(setting: Any) -> None:
    assert msgspec.convert(setting.default, setting.type) == setting.default
    assert setting.description.endswith((".", "ever."))


async def test_a_change_is_stored_by_its_type_and_logged(admin: httpx.AsyncClient, administrator: Member) -> None:
    for key in ("retention.logs_days", "brand.name", "webhooks.log_genuine"):
        await services.remove_setting(key)  # what other tests left
    answer = await _change(admin, retention__logs_days=90, brand__name="Loja", webhooks__log_genuine=True)
    assert answer.status_code == 200
    values = await _values(admin)
    assert (values["retention.logs_days"], values["brand.name"], values["webhooks.log_genuine"]) == (90, "Loja", True)
    assert await typed.value_of("retention.logs_days") == 90
    assert await services.get_setting("webhooks.log_genuine") == "true"
    logged = await database.fetch(
        "SELECT changes FROM logs WHERE user_id = $1 AND action = 'setting.changed' ORDER BY id", administrator.id
    )
    assert msgspec.json.decode(logged[0]["changes"]) == {"retention.logs_days": [365, 90]}


async def test_null_goes_back_to_the_default(admin: httpx.AsyncClient) -> None:
    await _change(admin, retention__logs_days=90)
    await _change(admin, retention__logs_days=None)
    shown = {one["key"]: one for one in (await admin.get(PATH)).json()["data"]}["retention.logs_days"]
    assert (shown["value"], shown["changed"]) == (365, False)


async def test_one_unfit_value_changes_nothing(admin: httpx.AsyncClient) -> None:
    answer = await _change(
        admin, retention__logs_days=-1, brand__color="red", brand__logo_url="ftp://x", nothing=1, brand__name="Loja"
    )
    assert answer.status_code == 422
    assert sorted(answer.json()["errors"]) == ["brand.color", "brand.logo_url", "nothing", "retention.logs_days"]
    assert (await _values(admin))["brand.name"] == "Recado"


async def test_a_plan_has_to_exist(admin: httpx.AsyncClient) -> None:
    assert list((await _change(admin, default_plan_id=10**12)).json()["errors"]) == ["default_plan_id"]


async def test_what_is_not_meant_for_people_is_not_shown(admin: httpx.AsyncClient) -> None:
    await services.put_setting("setup_token_hash", "hidden")
    assert "hidden" not in (await admin.get(PATH)).text
    assert (await _change(admin, setup_token_hash="mine")).status_code == 422
    await services.remove_setting("setup_token_hash")


async def test_a_value_of_another_version_counts_as_never_set(admin: httpx.AsyncClient) -> None:
    await services.put_setting("retention.logs_days", '"soon"')
    assert (await _values(admin))["retention.logs_days"] == 365


async def test_a_secret_is_encrypted_and_masked(admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = msgspec.structs.replace(BY_KEY["brand.name"], secret=True)
    monkeypatch.setitem(BY_KEY, "brand.name", setting)
    monkeypatch.setattr(typed, "SETTINGS", (setting,))
    assert (await _change(admin, brand__name="planted")).json()["data"][0]["value"] == "***"
    stored = await services.get_setting("brand.name")
    assert stored is not None
    assert "planted" not in stored
    await _change(admin, brand__name="***")
    assert await typed.value_of("brand.name") == "planted"
    logged = await database.fetch("SELECT changes FROM logs WHERE action = 'setting.changed'")
    assert "planted" not in str([row["changes"] for row in logged])


async def test_users_see_none(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        assert (await client.get(PATH)).status_code == 403
