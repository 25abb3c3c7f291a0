"""Servers that platform.toml names become rows at the first start."""

from core import database
from core.numbers.credentials import seal
from core.numbers.servers import probe_server
from core.plugin import ServerSeeding
from core.runtime import providers


async def seed_servers() -> list[int]:
    """Add the servers that plugins' settings name and no row, not even a deleted one, knows; return their ids.

    Safe to call at every start, by every process. New ones are probed.
    """
    added: list[int] = []
    for provider in providers().messaging_by_name.values():
        for seeded in provider.seeded_servers() if isinstance(provider, ServerSeeding) else ():
            server_id = await database.fetch_value(
                "INSERT INTO servers (name, provider, url, credentials, status)"
                " SELECT $1::text, $2::text, $3, $4, false"
                " WHERE NOT EXISTS (SELECT FROM servers WHERE provider = $2 AND name = $1)"
                " ON CONFLICT DO NOTHING RETURNING id",
                seeded.name,
                provider.name,
                seeded.url.rstrip("/"),
                seal(seeded.credentials),
            )
            if isinstance(server_id, int):
                added.append(server_id)
    for server_id in added:
        await probe_server(server_id)
    return added
