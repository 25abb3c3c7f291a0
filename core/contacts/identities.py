"""The numbers under which one person may be known, where countries or WhatsApp write one line in two ways.

Brazil put a 9 before the eight digits of mobile numbers, and accounts from before keep the old form; WhatsApp writes
Mexican mobiles with a 1 and Argentine ones with a 9 behind the country code, or without.
"""

import re

# Each pattern names the part that comes and goes; country codes of E.164, without the plus.
_OPTIONAL_DIGITS = (
    (re.compile(r"55(?P<area>[1-9]\d)(?:9)?(?P<rest>[6-9]\d{7})"), ("55{area}9{rest}", "55{area}{rest}")),
    (re.compile(r"52(?:1)?(?P<rest>[2-9]\d{9})"), ("521{rest}", "52{rest}")),
    (re.compile(r"54(?:9)?(?P<rest>[1-8]\d{9})"), ("549{rest}", "54{rest}")),
)
_PHONE_ADDRESS = re.compile(r"(?P<digits>\d+)@(?:c\.us|s\.whatsapp\.net)")
GROUP_SUFFIX = "@g.us"
"""Of WhatsApp's groups, whatever server talks to it: https://waha.devlike.pro/docs/how-to/send-messages/#chatid."""


def number_forms(number: str) -> frozenset[str]:
    """Return every form, as E.164 digits, that may be the same line as ``number``, itself included."""
    for pattern, forms in _OPTIONAL_DIGITS:
        found = pattern.fullmatch(number)
        if found is not None:
            return frozenset(form.format_map(found.groupdict()) for form in forms)
    return frozenset((number,))


def phone_in(address: str) -> str:
    """Return the digits of an address that is a phone number with WhatsApp's ending, nothing for any other."""
    found = _PHONE_ADDRESS.fullmatch(address)
    return "" if found is None else found["digits"]


def is_group_address(address: str) -> bool:
    """Whether an address says of itself that it is a group's; other services' groups are known by their contacts."""
    return address.endswith(GROUP_SUFFIX)
