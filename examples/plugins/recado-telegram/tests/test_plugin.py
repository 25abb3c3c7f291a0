from recado_telegram.connection import TelegramCredentials
from recado_telegram.plugin import Plugin, TelegramSettings
from recado_telegram.provider import TelegramProvider

from core.plugin import Secret, SeededServer
from core.plugin.validation import validate_table


def test_bots_of_the_settings_become_servers() -> None:
    table = {"servers": [{"name": "shop", "token": "4242:abc"}]}
    settings, problems = validate_table(TelegramSettings, table, "plugins.telegram")
    assert settings is not None
    assert problems == []
    (provider,) = Plugin(settings).register_messaging_providers()
    assert isinstance(provider, TelegramProvider)
    seeded = SeededServer(
        name="shop", url="https://api.telegram.org", credentials=TelegramCredentials(token=Secret("4242:abc"))
    )
    assert list(provider.seeded_servers()) == [seeded]
    assert "4242:abc" not in repr(seeded)
