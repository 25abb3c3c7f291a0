"""In which time zone the holder of a number lives, as far as the number's area tells."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from phonenumbers import parse
from phonenumbers.phonenumberutil import NumberParseException
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from core.contacts.numbers import BRAZIL

BRAZIL_DEFAULT = "America/Sao_Paulo"
BRAZILIAN_AREAS = {
    "65": "America/Cuiaba",
    "66": "America/Cuiaba",
    "67": "America/Campo_Grande",
    "68": "America/Rio_Branco",
    "69": "America/Porto_Velho",
    "91": "America/Belem",
    "92": "America/Manaus",
    "93": "America/Santarem",
    "94": "America/Belem",
    "95": "America/Boa_Vista",
    "96": "America/Belem",
    "97": "America/Manaus",
}
"""Brazil's area codes (Anatel) whose clocks differ from Brasília's, or have a name of their own; the library takes
all of Pernambuco (81) for an island far out."""
PREFIX_DIGITS = 7
"""Country and area code are within these."""


def zone_prefix(number: str) -> str:
    """Return the part of E.164 digits on which ``zone_of`` depends, beside their count."""
    return number[:PREFIX_DIGITS]


def zone_of(number: str) -> str | None:
    """Return the IANA zone of E.164 digits, ``None`` where nothing is known of it.

    Of several that come into question it is the middle one, so that nobody's clock is far off.
    """
    return _zone_of_prefix(zone_prefix(number), len(number))


@lru_cache(maxsize=65_536)
def _zone_of_prefix(prefix: str, length: int) -> str | None:
    if prefix.startswith(str(BRAZIL)):
        return BRAZILIAN_AREAS.get(prefix[2:4], BRAZIL_DEFAULT)
    try:
        number = parse(f"+{prefix.ljust(length, '0')}")
    except NumberParseException:
        return None
    found = [zone for zone in time_zones_for_number(number) if zone != UNKNOWN_TIMEZONE]
    found.sort(key=_standard_offset)
    return found[len(found) // 2] if found else None


def _standard_offset(zone: str) -> float:
    moment = datetime(2026, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return moment.total_seconds() if moment is not None else 0.0
