"""Amounts, moments, figures and names for one reader."""

from datetime import UTC, datetime, timedelta

import pytest

from core.notifications.formats import formats, isolated, one_line

MOMENT = datetime(2027, 3, 10, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "language", "shown"),
    [
        ("1234.50", "BRL", "pt-BR", "R$\u00a01.234,50"),
        ("1234.50", "BRL", "en", "R$1,234.50"),
        ("1234.5", "USD", "en", "$1,234.50"),
        ("12345.50", "USD", "es", "12.345,50\u00a0US$"),
        ("12345", "CLP", "es", "12.345\u00a0CLP"),
        ("12345", "CLP", "en", "CLP\u00a012,345"),
        ("12345", "JPY", "en", "¥12,345"),
        ("12345", "JPY", "pt-BR", "JP¥\u00a012.345"),
        ("12.345", "KWD", "en", "KWD\u00a012.345"),
        ("a lot", "BRL", "en", "a lot BRL"),
        ("5", "XYZ", "en", "XYZ\u00a05.00"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: str, currency: str, language: str, shown: str) -> None:
    assert formats(language, "UTC").money(amount, currency) == shown


@pytest.mark.parametrize(
    ("language", "timezone", "shown"),
    [
        ("en", "UTC", "March 10, 2027, 2:05\u00a0AM (GMT+00:00)"),
        ("en", "America/Sao_Paulo", "March 9, 2027, 11:05\u00a0PM (GMT-03:00)"),
        ("es", "America/Santiago", "9 de marzo de 2027, 23:05 (GMT-03:00)"),
        ("pt-BR", "Asia/Kolkata", "10 de março de 2027, 07:35 (GMT+05:30)"),
        ("en", "Nowhere/Land", "March 10, 2027, 2:05\u00a0AM (GMT+00:00)"),
        ("en", "../../etc/passwd", "March 10, 2027, 2:05\u00a0AM (GMT+00:00)"),
    ],
)
def test_a_moment_is_told_by_the_clock_of_its_reader(language: str, timezone: str, shown: str) -> None:
    assert formats(language, timezone).moment(MOMENT) == shown


@pytest.mark.parametrize(("language", "shown"), [("en", "12,345"), ("es", "12.345"), ("pt-BR", "12.345")])
def test_thousands_are_kept_apart(language: str, shown: str) -> None:
    assert formats(language, "UTC").number(12_345) == shown


@pytest.mark.parametrize(
    ("language", "hour", "days"),
    [("en", "1 hour", "3 days"), ("es", "1 hora", "3 días"), ("pt-BR", "1 hora", "3 dias")],
)
def test_a_length_of_time_is_told_in_its_largest_unit(language: str, hour: str, days: str) -> None:
    reader = formats(language, "UTC")
    assert (reader.duration(timedelta(hours=1)), reader.duration(timedelta(days=3))) == (hour, days)


def test_an_unknown_language_is_english() -> None:
    assert formats("tlh", "UTC").language == "en"


@pytest.mark.parametrize(
    "text", ["a\r\nb", "a\nb", "a\tb", "a\x00b", "a\x85b", "a\u2028b", "a\u2029b", "  a \n\n b ", "a\x1b b"]
)
def test_a_line_is_one_line(text: str) -> None:
    assert one_line(text) == "a b"


@pytest.mark.parametrize("text", ["👩‍👩‍👧‍👦", "❤️", "👍🏽", "שלום", "a\u200fb", "e\u0301"])
def test_what_signs_are_made_of_stays(text: str) -> None:
    assert one_line(text) == text


@pytest.mark.parametrize("text", ["שלום", "مرحبا", "a\u200fb", "\u2067abc\u2069", "Ana שלום"])
def test_what_is_written_from_the_right_is_isolated(text: str) -> None:
    assert isolated(text) == f"\u2068{text}\u2069"


@pytest.mark.parametrize("text", ["Ana", "Ана", "アナ", "Ana 👩‍🦰", ""])
def test_what_is_written_from_the_left_stays_as_it_is(text: str) -> None:
    assert isolated(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("X\u2069\u202eY", "XY"),
        ("\u202eabc", "abc"),
        ("\u202aa\u202bb\u202dc\u202ed\u202c", "abcd"),
        ("\u2069ש\u2068", "\u2068ש\u2069"),
        ("a\u2066b\u2069c\u2069", "a\u2066b\u2069c"),
        ("\u2067\u2068a\u2069", "\u2068a\u2069"),
        ("a\u200e\u200fb", "\u2068a\u200e\u200fb\u2069"),
        ("👩\u200d🦰 ع\u200c", "\u2068👩\u200d🦰 ع\u200c\u2069"),
    ],
)
def test_nothing_in_a_name_turns_what_follows_it(text: str, shown: str) -> None:
    assert isolated(text) == shown
