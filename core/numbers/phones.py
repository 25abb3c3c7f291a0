"""Phone numbers as people type them, turned into E.164 digits."""

import phonenumbers

from core.errors import InvalidInputError
from core.texts import text

BRAZIL = 55


def parse_phone(written: str, *, field: str = "phone") -> str:
    """Return the E.164 digits of a number written with its country code; the plus may be left out.

    Raises:
        InvalidInputError: No such number can exist.
    """
    parsed = _parse(written)
    if parsed is None or not (phonenumbers.is_valid_number(parsed) or _is_old_brazilian(parsed)):
        raise InvalidInputError({field: [text("phone")]})
    return _digits(parsed)


def phone_of(address: str) -> str:
    """Return the E.164 digits of a number's own address, or nothing where the address holds none."""
    digits = address.partition("@")[0]
    parsed = _parse(digits) if digits.isascii() and digits.isdecimal() else None
    return _digits(parsed) if parsed is not None and phonenumbers.is_possible_number(parsed) else ""


def _parse(written: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse("+" + written.strip().removeprefix("+"))
    except phonenumbers.NumberParseException:
        return None


def _is_old_brazilian(parsed: phonenumbers.PhoneNumber) -> bool:
    """Accounts made before the ninth digit keep their number; the number check says whether one is there."""
    return parsed.country_code == BRAZIL and phonenumbers.is_possible_number(parsed)


def _digits(parsed: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")
