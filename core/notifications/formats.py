"""Amounts, moments, figures and names as people of one language and time zone read them."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal

from core.texts import ENGLISH, LANGUAGES

_ZONE = "ZZZZ"
"""CLDR's pattern field for a zone's distance from Greenwich: the same in every language, and never ambiguous."""
_ISOLATE = "\u2068{}\u2069"
"""FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode Standard Annex 9): what is between them turns nothing."""
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLI"})
_EMBEDDING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF"})
_ISOLATING = frozenset({"LRI", "RLI", "FSI"})


class Formats(msgspec.Struct, frozen=True):
    """How one person reads."""

    language: str
    """One of ``LANGUAGES``."""
    locale: Locale
    zone: tzinfo

    def money(self, amount: str, currency: str) -> str:
        """Return an amount, a decimal text in units of ``currency``, with as many decimals as the currency has."""
        try:
            value = Decimal(amount)
        except InvalidOperation:
            return one_line(f"{amount} {currency}")
        shown = _plain(format_currency(value, currency, locale=self.locale))
        # As CLDR wants it (currencySpacing) and Babel does not do it.
        return _LETTER_BEFORE_DIGIT.sub("\u00a0", shown)

    def moment(self, moment: datetime) -> str:
        """Return date, time and time zone, as the person's clock shows them."""
        day = format_date(moment.astimezone(self.zone), "long", locale=self.locale)
        pattern = f"{self.locale.time_formats['short'].pattern} ({_ZONE})"
        time = format_time(moment, pattern, tzinfo=self.zone, locale=self.locale)
        return _plain(f"{day}, {time}")

    def number(self, value: int) -> str:
        """Return a figure with its thousands kept apart."""
        return _plain(format_decimal(value, locale=self.locale))

    def duration(self, lasts: timedelta) -> str:
        """Return a length of time in its largest unit: ``1 hour``, ``3 days``."""
        return _plain(format_timedelta(lasts, threshold=1, locale=self.locale))


def formats(language: str, timezone: str) -> Formats:
    """Return how a person reads; an unknown language is English, an unknown time zone UTC."""
    known = language if language in LANGUAGES else ENGLISH
    return Formats(known, _locale(known), _zone(timezone))


def one_line(text: str) -> str:
    """Return ``text`` without line breaks and other control characters: each run of them and of spaces is a space."""
    spaced = "".join(" " if unicodedata.category(sign) in {"Cc", "Zl", "Zp"} else sign for sign in text)
    return " ".join(filter(None, spaced.split(" ")))


def isolated(text: str) -> str:
    """Return a name for the midst of a sentence: one that is written from the right does not turn its neighbours.

    Signs that would turn what follows, or end the isolation around it, are taken out: embeddings and overrides, and
    isolates that do not pair. Marks of direction and joiners stay.
    """
    shown = _paired(one_line(text))
    turns = any(unicodedata.bidirectional(sign) in _RIGHT_TO_LEFT for sign in shown)
    return _ISOLATE.format(shown) if turns else shown


def _paired(text: str) -> str:
    """Return ``text`` without embeddings and overrides, and without isolates that have no end or no beginning."""
    signs = [sign for sign in text if unicodedata.bidirectional(sign) not in _EMBEDDING]
    alone, begun = set(), []
    for place, sign in enumerate(signs):
        kind = unicodedata.bidirectional(sign)
        if kind in _ISOLATING:
            begun.append(place)
        elif kind == "PDI":
            if begun:
                begun.pop()
            else:
                alone.add(place)
    alone.update(begun)
    return "".join(sign for place, sign in enumerate(signs) if place not in alone)


@lru_cache(maxsize=64)
def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")


@lru_cache(maxsize=1024)
def _zone(timezone: str) -> tzinfo:
    try:
        return ZoneInfo(timezone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return UTC


def _plain(text: str) -> str:
    """Return ``text`` with a no-break space for the narrow one, which many terminals have no sign for."""
    return text.replace("\u202f", "\u00a0")
