"""``GET /api/plugins``."""

import httpx
import msgspec

from core.plugin.registry import PluginInfo, Providers
from core.runtime import Runtime, set_runtime
from tests.conftest import ClientOf
from tests.factories import Member


async def test_plugins(api: ClientOf, user: Member, runtime: Runtime) -> None:
    plugins = (
        PluginInfo(name="waha", version="1.0.0", source="folder", enabled=True, messaging=("waha",)),
        PluginInfo(name="smtp", version="", source="", enabled=False),
    )
    set_runtime(msgspec.structs.replace(runtime, providers=Providers(plugins=plugins)))
    try:
        answer = await api(user).get("/api/plugins")
    finally:
        set_runtime(runtime)
    assert answer.json() == {
        "data": [
            {
                "name": "waha",
                "version": "1.0.0",
                "source": "folder",
                "enabled": True,
                "messaging": ["waha"],
                "payments": [],
                "notifiers": [],
            },
            {
                "name": "smtp",
                "version": "",
                "source": "",
                "enabled": False,
                "messaging": [],
                "payments": [],
                "notifiers": [],
            },
        ]
    }


async def test_needs_a_user(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/plugins")).status_code == 401
