"""What the platform loads."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from core.plugin import MessagingProvider, Secret, SeededServer, Settings, hookimpl
from recado_telegram.connection import TelegramCredentials
from recado_telegram.provider import Limits, TelegramProvider

API_URL = "https://api.telegram.org"


class TelegramServer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry ``[[plugins.telegram.servers]]``: a bot that is added on the first start."""

    name: Annotated[str, msgspec.Meta(description="What people call the bot.", min_length=1, examples=["shop"])]
    token: Annotated[Secret, msgspec.Meta(description="The bot's token from @BotFather, as env or file.")]
    url: Annotated[
        str,
        msgspec.Meta(description="Address of the Bot API, or of a server of your own.", pattern=r"^https?://[^\s/]+"),
    ] = API_URL


class TelegramSettings(Settings, frozen=True):
    """The ``[plugins.telegram]`` table of platform.toml."""

    text_timeout_seconds: Annotated[
        float, msgspec.Meta(description="Seconds a text may take before it counts as unknown.", gt=0, le=600)
    ] = 30.0
    media_timeout_seconds: Annotated[
        float, msgspec.Meta(description="Seconds a message with a file may take, its upload included.", gt=0, le=3600)
    ] = 300.0
    servers: Annotated[
        tuple[TelegramServer, ...], msgspec.Meta(description="Bots to add on the first start; later ones in the admin.")
    ] = ()


class Plugin:
    """The Telegram plugin."""

    Settings = TelegramSettings
    requires = ">=1.0,<2"
    version = "0.1.0"

    def __init__(self, settings: TelegramSettings) -> None:
        limits = Limits(text_seconds=settings.text_timeout_seconds, media_seconds=settings.media_timeout_seconds)
        servers = tuple(
            SeededServer(name=bot.name, url=bot.url, credentials=TelegramCredentials(token=bot.token))
            for bot in settings.servers
        )
        self._provider = TelegramProvider(limits, servers)

    @hookimpl
    def register_messaging_providers(self) -> Iterable[MessagingProvider]:
        """Return the one provider, named ``telegram``."""
        return [self._provider]
