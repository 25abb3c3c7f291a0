"""What the cells of a workbook show: numbers without exponents, dates as ISO 8601, texts without escapes.

Facts: ECMA-376 part 1, 18.3.1.4 (cells), 18.8.30 (number formats), 22.9.2.19 (``_xHHHH_`` in texts).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

MAXIMUM_CHARACTERS = 2**20
"""Of one cell; Excel itself allows 32,767."""

_DATE_FORMATS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
"""Numbers of the built-in formats that show dates or times."""
_NOT_TOKENS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h|m|s)[^\]]*\]', re.IGNORECASE)
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 127])
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - what a cell shows has no zone
_FALSE_LEAP_DAY = 60
"""Below this serial number the days of 1900 are one later: Lotus took that year for a leap year."""
_DAY = 86_400
_LAST_DAY = 2_958_465
_DIGITS_SHOWN = 15
_DIGITS_OF_EXPONENTS = 6
"""As many does a spreadsheet show before an exponent; programs that write all digits that way have more."""


class TooMuchTextError(Exception):
    """A workbook's texts take more than they may: one that many cells share can be repeated without end."""


def shows_date(number_format: int, codes: Mapping[int, str]) -> bool:
    """Whether a number format shows a date or a time; ``codes`` are the workbook's own formats."""
    code = codes.get(number_format)
    if code is None:
        return number_format in _DATE_FORMATS
    return bool(re.search(r"[dmyhs]", _NOT_TOKENS.sub("", code.split(";", 1)[0]), re.IGNORECASE))


def shown_number(raw: str) -> str:
    """Return a number as its digits, without an exponent.

    One that has an exponent in the place of digits (``5.51199E+12``) stays as it is: nothing is made up.
    """
    if raw.isdigit():
        return raw
    try:
        number = Decimal(raw)
    except InvalidOperation:
        return raw
    if not number.is_finite():
        return raw
    if number == number.to_integral_value():
        return raw if _is_cut(raw, number) else f"{number:f}".partition(".")[0]
    # What binary fractions add behind the digits that a spreadsheet shows is dropped.
    return f"{Decimal(f'{number:.{_DIGITS_SHOWN}g}').normalize():f}"


def _is_cut(raw: str, number: Decimal) -> bool:
    _, digits, exponent = number.as_tuple()
    return "e" in raw.lower() and isinstance(exponent, int) and exponent > 0 and len(digits) <= _DIGITS_OF_EXPONENTS


def shown_date(raw: str, *, from_1904: bool = False) -> str:
    """Return a serial number as ``2026-11-26``, ``2026-11-26 08:30:00`` or ``08:30:00``; what is none stays."""
    try:
        days = float(raw)
    except ValueError:
        return raw
    if not 0 <= days < _LAST_DAY + 1:
        return shown_number(raw)
    seconds = round(days * _DAY)
    if seconds < _DAY and seconds:
        return str(timedelta(seconds=seconds)).rjust(8, "0")
    epoch = _EPOCH_1904 if from_1904 else _EPOCH
    early = timedelta(days=not from_1904 and days < _FALSE_LEAP_DAY)
    moment = epoch + timedelta(seconds=seconds) + early
    return moment.date().isoformat() if seconds % _DAY == 0 else moment.isoformat(sep=" ")


def plain_text(written: str) -> str:
    """Return a text without the escapes that stand for characters XML cannot hold, and without those."""
    if "_x" not in written:
        return written
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), written).translate(_CONTROLS)
    # A character beyond 16 bits is escaped in two halves; one half alone is none.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def date_styles(formats: Sequence[int], codes: Mapping[int, str]) -> frozenset[str]:
    """Return the places in ``formats`` of those that show dates, as cells name them."""
    return frozenset(str(place) for place, number in enumerate(formats) if shows_date(number, codes))
