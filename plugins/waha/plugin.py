"""Register the WAHA provider."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from core.plugin import MessagingProvider, Secret, SeededServer, Settings, hookimpl
from plugins.waha.connection import WahaCredentials
from plugins.waha.provider import Limits, WahaProvider


class WahaServer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry ``[[plugins.waha.servers]]``: a server that is added on the first start."""

    name: Annotated[str, msgspec.Meta(description="What people call the server.", min_length=1, examples=["main"])]
    url: Annotated[
        str,
        msgspec.Meta(
            description="Address of the WAHA server.", pattern=r"^https?://[^\s/]+", examples=["http://waha:3000"]
        ),
    ]
    api_key: Annotated[
        Secret | None,
        msgspec.Meta(description="Value of WAHA_API_KEY, as env or file; absent when WAHA asks for none."),
    ] = None


class WahaSettings(Settings, frozen=True):
    """The ``[plugins.waha]`` table of platform.toml."""

    text_timeout_seconds: Annotated[
        float,
        msgspec.Meta(description="The longest a text may take; WAHA itself may hold a session for 30 s.", gt=0, le=600),
    ] = 40.0
    media_timeout_seconds: Annotated[
        float,
        msgspec.Meta(description="The longest a message with a file may take, its upload included.", gt=0, le=3600),
    ] = 600.0
    unknown_grace_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How long after a send without an answer its fate is looked up; below 60 only in rehearsals,"
            " since WAHA may finish a send that late.",
            gt=0,
            le=3600,
        ),
    ] = 60.0
    servers: Annotated[
        tuple[WahaServer, ...], msgspec.Meta(description="Servers to add on the first start; later ones in the admin.")
    ] = ()


class Plugin:
    """The WAHA plugin."""

    Settings = WahaSettings
    requires = ">=1.0,<2"

    def __init__(self, settings: WahaSettings) -> None:
        limits = Limits(
            text_seconds=settings.text_timeout_seconds,
            media_seconds=settings.media_timeout_seconds,
            grace_seconds=settings.unknown_grace_seconds,
        )
        servers = tuple(
            SeededServer(name=server.name, url=server.url, credentials=WahaCredentials(api_key=server.api_key))
            for server in settings.servers
        )
        self._provider = WahaProvider(limits, servers)

    @hookimpl
    def register_messaging_providers(self) -> Iterable[MessagingProvider]:
        """Return the one provider, named ``waha``."""
        return [self._provider]
