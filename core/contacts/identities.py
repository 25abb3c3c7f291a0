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


def number_forms(number: str) -> frozenset[str]:
    """Return every form, as E.164 digits, that may be the same line as ``number``, itself included."""
    for pattern, forms in _OPTIONAL_DIGITS:
        found = pattern.fullmatch(number)
        if found is not None:
            return frozenset(form.format_map(found.groupdict()) for form in forms)
    return frozenset((number,))
