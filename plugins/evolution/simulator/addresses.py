"""Addresses as Evolution makes them from what a client writes, and Brazilian numbers as WhatsApp knows them."""

import re

PERSON = "@s.whatsapp.net"
GROUP = "@g.us"
LID = "@lid"
_GROUP_DIGITS = 18
_WITH_NINTH = re.compile(r"55(\d\d)9(\d{8})")
_WITHOUT_NINTH = re.compile(r"55(\d\d)([6-9]\d{7})")
_FIRST_AREA_WITHOUT_NINTH = 31
_LATIN_LENGTH = 13


def address_of(number: str) -> str:
    """Return the address of a number: signs go, long numbers are groups, 52 1 and 54 9 lose their third digit."""
    number = re.sub(r":\d+", "", number)
    if number.endswith((PERSON, GROUP, LID, "@broadcast")):
        return number
    digits = re.sub(r"\D", "", number.partition("@")[0])
    if len(digits) >= _GROUP_DIGITS:
        return digits + GROUP
    if digits.startswith(("52", "54")) and len(digits) == _LATIN_LENGTH:
        digits = digits[:2] + digits[3:]
    return digits + PERSON


def brazilian(digits: str) -> str:
    """Return the form WhatsApp knows: from area code 31 on mobile numbers lost their ninth digit."""
    match = _WITH_NINTH.fullmatch(digits)
    if match and int(match[1]) >= _FIRST_AREA_WITHOUT_NINTH:
        return f"55{match[1]}{match[2]}"
    match = _WITHOUT_NINTH.fullmatch(digits)
    if match and int(match[1]) < _FIRST_AREA_WITHOUT_NINTH:
        return f"55{match[1]}9{match[2]}"
    return digits
