"""How e-mails look: the installation's name, colour, logo and addresses, which an administrator sets."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from core import database
from core.config import PlatformConfig
from core.errors import OperatorError
from core.runtime import config
from core.settings.keys import BY_KEY
from core.settings.typed import values_of

_FIELDS: Mapping[str, str] = {
    "name": "brand.name",
    "color": "brand.color",
    "logo_url": "brand.logo_url",
    "url": "brand.url",
    "address": "brand.address",
    "support_email": "support.email",
}
"""A brand's fields, each with the setting that it comes from."""
_LIGHT = "#ffffff"
_DARK = "#111111"
_MOST_CONTRAST = 1.05
"""Relative luminance of white plus 0.05, as the contrast ratio of WCAG 2.2 is reckoned."""


class Brand(msgspec.Struct, frozen=True, kw_only=True):
    """What every e-mail shows of the installation."""

    name: str
    color: str
    """``#`` and six hexadecimal digits."""
    logo_url: str
    url: str
    """Where buttons lead that have no place of their own."""
    address: str
    support_email: str

    @property
    def ink(self) -> str:
        """White or almost black: whichever can be read better on the colour."""
        luminance = _luminance(self.color) + 0.05
        return _LIGHT if _MOST_CONTRAST / luminance >= luminance / (_luminance(_DARK) + 0.05) else _DARK


def brand_of(values: Mapping[str, Any], base_url: str) -> Brand:
    """Return the brand that settings make, by their keys; what is not among them has its default."""
    found = {field: values.get(key, BY_KEY[key].default) for field, key in _FIELDS.items()}
    return Brand(**{**found, "url": found["url"] or base_url})


async def read_brand() -> Brand:
    """Return the brand as it is set now."""
    return brand_of(await values_of(list(_FIELDS.values())), config().server.base_url)


async def brand_for(chosen: PlatformConfig) -> Brand:
    """Return the brand for a command, which has no process around it: the defaults where no database answers."""
    try:
        await database.open_pool(chosen, size=1)
    except (OperatorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return brand_of({}, chosen.server.base_url)
    try:
        return brand_of(await values_of(list(_FIELDS.values())), chosen.server.base_url)
    except asyncpg.UndefinedTableError:
        return brand_of({}, chosen.server.base_url)
    finally:
        await database.close_pool()


def _luminance(color: str) -> float:
    """Return the relative luminance of a colour (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB's own figures
