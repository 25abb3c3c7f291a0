"""Read and change the platform's settings and the tenants' configurations, both as text by key."""

from core import database
from core.audit import services as audit


async def get_setting(key: str) -> str | None:
    """Return a setting of the platform, or ``None`` when it was never set."""
    value = await database.fetch_value("SELECT value FROM settings WHERE key = $1", key)
    return value if isinstance(value, str) else None


async def lock_setting(key: str) -> str | None:
    """As ``get_setting``, and keep others from changing it until the unit of work ends."""
    value = await database.fetch_value("SELECT value FROM settings WHERE key = $1 FOR UPDATE", key)
    return value if isinstance(value, str) else None


async def put_setting(key: str, value: str, description: str = "") -> None:
    """Set a setting of the platform; an empty description leaves the present one."""
    await database.execute(
        "INSERT INTO settings (key, value, description, created_at, updated_at) VALUES ($1, $2, $3, now(), now())"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now(),"
        " description = coalesce(nullif(excluded.description, ''), settings.description)",
        key,
        value,
        description,
    )


async def put_setting_once(key: str, value: str, description: str = "") -> str:
    """Set a setting of the platform unless it is set already; return the value that stands, also of two at once."""
    stands = await database.fetch_value(
        "INSERT INTO settings AS s (key, value, description, created_at, updated_at) VALUES ($1, $2, $3, now(), now())"
        " ON CONFLICT (key) DO UPDATE SET value = s.value RETURNING value",
        key,
        value,
        description,
    )
    return str(stands)


async def remove_setting(key: str) -> bool:
    """Remove a setting of the platform and say whether there was one."""
    return await database.execute("DELETE FROM settings WHERE key = $1", key) == 1


async def get_configuration(user_id: int, key: str) -> str | None:
    """Return a tenant's configuration, or ``None`` when it was never set."""
    value = await database.fetch_value("SELECT value FROM configurations WHERE user_id = $1 AND key = $2", user_id, key)
    return value if isinstance(value, str) else None


async def remove_configuration(user_id: int, key: str) -> bool:
    """Remove a tenant's configuration and say whether there was one."""
    async with database.unit_of_work():
        before = await database.fetch_value(
            "DELETE FROM configurations WHERE user_id = $1 AND key = $2 RETURNING value", user_id, key
        )
        if before is not None:
            await audit.record("configuration.removed", user_id=user_id, changes={key: [before, None]})
    return before is not None


async def put_configuration(user_id: int, key: str, value: str) -> None:
    """Set a tenant's configuration."""
    async with database.unit_of_work():
        before = await get_configuration(user_id, key)
        await database.execute(
            "INSERT INTO configurations (user_id, key, value, created_at, updated_at) VALUES ($1, $2, $3, now(), now())"
            " ON CONFLICT (user_id, key) DO UPDATE SET value = excluded.value, updated_at = now()",
            user_id,
            key,
            value,
        )
        if before != value:
            await audit.record("configuration.updated", user_id=user_id, changes={key: [before, value]})
