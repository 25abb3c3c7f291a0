"""Register the Evolution provider."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from core.plugin import MessagingProvider, Secret, SeededServer, Settings, hookimpl
from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.provider import EvolutionProvider, Limits


class EvolutionServer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry ``[[plugins.evolution.servers]]``: a server that is added on the first start."""

    name: Annotated[str, msgspec.Meta(description="What people call the server.", min_length=1, examples=["main"])]
    url: Annotated[
        str,
        msgspec.Meta(
            description="Address of the Evolution API server.",
            pattern=r"^https?://[^\s/]+",
            examples=["http://evolution:8080"],
        ),
    ]
    api_key: Annotated[
        Secret, msgspec.Meta(description="Value of AUTHENTICATION_API_KEY, the server's global key, as env or file.")
    ]


class EvolutionSettings(Settings, frozen=True):
    """The ``[plugins.evolution]`` table of platform.toml."""

    text_timeout_seconds: Annotated[
        float,
        msgspec.Meta(description="The longest a text may take; the server looks the number up first.", gt=0, le=600),
    ] = 60.0
    audio_timeout_seconds: Annotated[
        float,
        msgspec.Meta(description="The longest a voice message may take, its conversion included.", gt=0, le=3600),
    ] = 600.0
    media_timeout_seconds: Annotated[
        float,
        msgspec.Meta(
            description="The longest a message with another file may take, its upload included.", gt=0, le=3600
        ),
    ] = 600.0
    unknown_grace_seconds: Annotated[
        float,
        msgspec.Meta(
            description="How long after a send without an answer its fate is looked up; below 60 only in rehearsals,"
            " since the server may finish a send that late.",
            gt=0,
            le=3600,
        ),
    ] = 60.0
    servers: Annotated[
        tuple[EvolutionServer, ...],
        msgspec.Meta(description="Servers to add on the first start; later ones in the admin."),
    ] = ()


class Plugin:
    """The Evolution plugin."""

    Settings = EvolutionSettings
    requires = ">=1.0,<2"

    def __init__(self, settings: EvolutionSettings) -> None:
        limits = Limits(
            text_seconds=settings.text_timeout_seconds,
            audio_seconds=settings.audio_timeout_seconds,
            media_seconds=settings.media_timeout_seconds,
            grace_seconds=settings.unknown_grace_seconds,
        )
        servers = tuple(
            SeededServer(name=server.name, url=server.url, credentials=EvolutionCredentials(api_key=server.api_key))
            for server in settings.servers
        )
        self._provider = EvolutionProvider(limits, servers)

    @hookimpl
    def register_messaging_providers(self) -> Iterable[MessagingProvider]:
        """Return the one provider, named ``evolution``."""
        return [self._provider]
