"""How an Evolution server is called."""

import msgspec

from core.plugin import Secret


class EvolutionCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What an Evolution server row needs beside its url: the server's global key."""

    api_key: Secret
