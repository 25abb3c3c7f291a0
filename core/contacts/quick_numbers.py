"""The short way for numbers as most files have them: the same answer as ``phonenumbers`` gives, or none at all.

It knows numbers of fixed and mobile lines, in countries that share their code with no other, written with digits and
the usual separators, by the patterns of that very library. Whatever it is not sure of is for ``core.contacts.numbers``.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

import msgspec
import phonenumbers
from phonenumbers import PhoneMetadata
from phonenumbers.phonemetadata import PhoneNumberDesc

LONGEST_CODE = 3
LONGEST = 15

_SEPARATORS = str.maketrans("", "", " ().-/")
_WHOLE_AS_DECIMAL = re.compile(r"\+?\d+\.0+")


class _Lines(msgspec.Struct, frozen=True):
    """How the lines of one country are written."""

    code: str
    general: re.Pattern[str]
    premium: re.Pattern[str] | None
    kinds: tuple[tuple[re.Pattern[str], frozenset[int]], ...]
    """Of fixed and mobile lines: the pattern, and how many digits there may be."""
    trunk: re.Pattern[str] | None
    """What may stand before a number inside the country, carrier included."""
    rewrites: bool
    """Whether the last group of ``trunk`` takes part in the number."""
    abroad: re.Pattern[str]

    def has(self, national: str) -> bool:
        """Whether these digits, as they are, are a line of the country: no part of them is a prefix."""
        if national[:1] == "0" or not any(
            len(national) in lengths and pattern.fullmatch(national) for pattern, lengths in self.kinds
        ):
            return False
        if self.general.fullmatch(national) is None or (self.premium and self.premium.fullmatch(national)):
            return False
        return self.trunk is None or self.trunk.match(national) is None

    def without_trunk(self, digits: str) -> str:
        """Return the digits behind the prefix of calls inside the country; nothing where it is not certain."""
        found = None if self.trunk is None else self.trunk.match(digits)
        if found is None or (self.rewrites and found.re.groups and found[found.re.groups] is not None):
            return ""
        return digits[found.end() :]


def quick_number(written: str, country: str) -> str | None:
    """Return the E.164 digits of a number, ``None`` where the long way has to decide."""
    digits = written.translate(_SEPARATORS)
    plus = digits[:1] == "+"
    if plus:
        digits = digits[1:]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > LONGEST or plus != (written[0] == "+"):
        return None
    if "." in written and _WHOLE_AS_DECIMAL.fullmatch(written.strip()):
        return None
    if plus or digits[:2] == "00":
        return _international(digits if plus else digits[2:])
    lines = _lines(country)
    return None if lines is None or lines.abroad.match(digits) else _at_home(digits, lines)


def _at_home(digits: str, lines: _Lines) -> str | None:
    """Return the E.164 digits of a number that tells nothing, or itself, of the country code."""
    if lines.has(digits):
        return lines.code + digits
    if digits[0] == "0":
        national = lines.without_trunk(digits)
        return lines.code + national if lines.has(national) else None
    if digits.startswith(lines.code) and lines.general.fullmatch(digits) is None:
        return digits if lines.has(digits[len(lines.code) :]) else None
    return None


def _international(digits: str) -> str | None:
    # No country code begins with 0, which would get lost on the way to a number.
    if digits[:1] in {"", "0"}:
        return None
    for length in range(1, LONGEST_CODE + 1):
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]))
        if regions is not None:
            lines = _lines(regions[0])
            return digits if lines is not None and lines.has(digits[length:]) else None
    return None


@cache
def _lines(country: str) -> _Lines | None:
    found = PhoneMetadata.metadata_for_region(country)
    if found is None or found.general_desc is None or found.country_code is None:
        return None
    general = _pattern(found.general_desc)
    if general is None or len(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(found.country_code, ())) != 1:
        return None
    lengths = frozenset(found.general_desc.possible_length)
    prefix = found.national_prefix_for_parsing
    return _Lines(
        code=str(found.country_code),
        general=general,
        premium=_pattern(found.premium_rate),
        kinds=tuple(_kinds((found.fixed_line, found.mobile), lengths)),
        trunk=re.compile(prefix) if prefix else None,
        rewrites=bool(found.national_prefix_transform_rule),
        abroad=re.compile(found.international_prefix or "(?!)"),
    )


def _kinds(
    descriptions: Iterable[PhoneNumberDesc | None], lengths: frozenset[int]
) -> Iterator[tuple[re.Pattern[str], frozenset[int]]]:
    for description in descriptions:
        pattern = _pattern(description)
        if description is not None and pattern is not None:
            yield pattern, frozenset(description.possible_length or lengths) & lengths


def _pattern(desc: PhoneNumberDesc | None) -> re.Pattern[str] | None:
    return re.compile(desc.national_number_pattern) if desc is not None and desc.national_number_pattern else None
