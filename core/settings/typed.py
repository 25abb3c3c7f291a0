"""Settings by their types: read with their defaults, checked before they are stored, all at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.crypto import decrypt, encrypt
from core.errors import InvalidInputError
from core.settings import services
from core.settings.keys import BY_KEY, SETTINGS, Setting
from core.settings.schemas import SettingRead
from core.texts import text
from core.validation import validate

SEAL = "settings.value"
MASK = "***"


async def value_of(key: str) -> Any:
    """Return a setting's value, or its default; one that was stored for another version counts as never set."""
    setting = BY_KEY[key]
    stored = await services.get_setting(key)
    return setting.default if stored is None else _decode(setting, stored)


async def values_of(keys: Sequence[str]) -> dict[str, Any]:
    """Return several settings' values by their keys, as ``value_of`` returns one."""
    rows = await database.fetch("SELECT key, value FROM settings WHERE key = ANY($1::text[])", list(keys))
    stored = {row["key"]: row["value"] for row in rows}
    return {key: _decode(BY_KEY[key], stored[key]) if key in stored else BY_KEY[key].default for key in keys}


async def list_settings() -> list[SettingRead]:
    """Return every setting with its value; secrets are masked."""
    rows = await database.fetch("SELECT key, value FROM settings WHERE key = ANY($1::text[])", list(BY_KEY))
    stored = {row["key"]: row["value"] for row in rows}
    return [_read(setting, stored.get(setting.key)) for setting in SETTINGS]


async def change_settings(actor_id: int, wanted: Mapping[str, object]) -> list[SettingRead]:
    """Change settings, all of them or none; ``None`` goes back to the default, and ``***`` leaves a secret.

    Raises:
        InvalidInputError: With every key that is unknown or has an unfit value.
    """
    values = _check(wanted)
    async with database.unit_of_work():
        await _ensure_plan(values)
        for key, value in values.items():
            setting = BY_KEY[key]
            before = await value_of(key)
            if value is None:
                await services.remove_setting(key)
            else:
                await services.put_setting(key, _encode(setting, value), setting.description)
            after = value if value is not None else setting.default
            if after != before:
                shown = [MASK, MASK] if setting.secret else [before, after]
                await audit.record("setting.changed", user_id=actor_id, changes={key: shown})
    return await list_settings()


def _check(wanted: Mapping[str, object]) -> dict[str, object]:
    errors: dict[str, list[str]] = {}
    values: dict[str, object] = {}
    for key, value in wanted.items():
        setting = BY_KEY.get(key)
        if setting is None:
            errors[key] = [text("unknown_field")]
        elif value is None:
            values[key] = None
        elif not (setting.secret and value == MASK):
            try:
                values[key] = validate(setting.type, value)
            except InvalidInputError as error:
                errors[key] = [message for messages in error.errors.values() for message in messages]
    if errors:
        raise InvalidInputError(errors)
    return values


async def _ensure_plan(values: Mapping[str, object]) -> None:
    plan_id = values.get("default_plan_id")
    if plan_id is not None and await database.fetch_row("SELECT 1 FROM plans WHERE id = $1", plan_id) is None:
        raise InvalidInputError({"default_plan_id": [text("no_such_plan")]})


def _encode(setting: Setting, value: object) -> str:
    encoded = database.encode_json(value)
    return encrypt(encoded, purpose=SEAL) if setting.secret else encoded


def _decode(setting: Setting, stored: str) -> Any:
    try:
        plain = decrypt(stored, purpose=SEAL) if setting.secret else stored
        return msgspec.json.decode(plain, type=setting.type)
    except (msgspec.DecodeError, ValueError):
        return setting.default


def _read(setting: Setting, stored: str | None) -> SettingRead:
    value = setting.default if stored is None else _decode(setting, stored)
    return SettingRead(
        key=setting.key,
        value=MASK if setting.secret and stored is not None else value,
        default=setting.default,
        description=setting.description,
        changed=stored is not None,
    )
