"""Whose numbers those without a country code are: what a tenant decided, unless a request says."""

from typing import TypeVar

import msgspec

from core import database
from core.contacts.numbers import is_country
from core.errors import InvalidInputError
from core.settings.services import get_configuration, put_configuration, remove_configuration
from core.texts import text

KEY = "country"
DEFAULT_COUNTRY = "BR"

_S = TypeVar("_S", bound=msgspec.Struct)


async def country_of(user_id: int) -> str:
    """Return the tenant's country (ISO 3166), else the platform's own."""
    stored = await get_configuration(user_id, KEY)
    return DEFAULT_COUNTRY if stored is None else msgspec.json.decode(stored, type=str)


async def set_country(user_id: int, country: str | None) -> None:
    """Set the tenant's country; ``None`` goes back to the platform's.

    Raises:
        InvalidInputError: There is no such country, under ``country``.
    """
    if country is None:
        await remove_configuration(user_id, KEY)
    elif is_country(country):
        await put_configuration(user_id, KEY, database.encode_json(country))
    else:
        raise InvalidInputError({"country": [text("no_such_country")]})


async def in_own_country(user_id: int, wanted: _S, field: str = "country") -> _S:
    """Return a request with the tenant's country where it names none."""
    if getattr(wanted, field) is not None:
        return wanted
    return msgspec.structs.replace(wanted, **{field: await country_of(user_id)})
