"""The provider, and senders on servers of both dialects."""

from collections.abc import AsyncIterator

import pytest

from core.plugin import Capabilities, MessageKind, Secret, Sender, Server
from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.provider import EvolutionProvider, Limits

KEY = "global-key"
SECRET = "number/secret"
VERSIONS = ("1.8.2", "2.3.7")


@pytest.fixture
async def provider() -> AsyncIterator[EvolutionProvider]:
    made = EvolutionProvider(Limits(text_seconds=1.0, audio_seconds=2.0, media_seconds=3.0, grace_seconds=60))
    yield made
    await made.aclose()


def sender_on(url: str, version: str = "2.3.7", instance: str = "snd_17") -> Sender:
    """Make the sender of number 17 on a server."""
    return Sender(
        number_id=17,
        instance=instance,
        server=Server(id=1, url=url, credentials=EvolutionCredentials(api_key=Secret(KEY))),
        capabilities=Capabilities(version=version, media=tuple(MessageKind)[1:], number_check="bulk"),
        webhook_secret=Secret(SECRET),
    )
