import pytest

from core.contacts.numbers import UnusableNumberError, is_country, normalize_number

EXPECTED = "5511900001234"


@pytest.mark.parametrize(
    "written",
    [
        "(11) 90000-1234",
        "+55 11 90000 1234",
        "5511900001234",
        "011 90000-1234",
        "0 15 11 90000-1234",
        "11900001234",
        "11 9 0000 1234",
        "0055 11 90000-1234",
        "00 55 11 90000-1234",
        "(+55) 11 90000-1234",
        "tel:+5511900001234",
        "whatsapp:+5511900001234",
        "5511900001234@c.us",
        "5511900001234@s.whatsapp.net",
        "".join(chr(ord(digit) + 0xFEE0) for digit in EXPECTED),
        "\u202a+55 11 90000\u20111234\u202c",
        "\u00a0(11)\u00a090000-1234 ",
        "5511900001234.0",
        "5511900001234,00",
        "'+5511900001234",
    ],
)
def test_however_a_number_is_written_it_comes_out_the_same(written: str) -> None:
    assert normalize_number(written) == EXPECTED


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("75 8825-1234", "557588251234"),
        ("+55 75 98825-1234", "5575988251234"),
        ("(11) 3333-4444", "551133334444"),
    ],
)
def test_the_ninth_digit_is_neither_added_nor_taken(written: str, digits: str) -> None:
    assert normalize_number(written) == digits


@pytest.mark.parametrize(
    ("written", "country", "digits"),
    [
        ("+351 912 345 678", "BR", "351912345678"),
        ("351912345678", "BR", "351912345678"),
        ("912 345 678", "PT", "351912345678"),
        ("11 90000-1234", "BR", EXPECTED),
        ("+55 11 90000-1234", "PT", EXPECTED),
        ("(202) 555-0143", "US", "12025550143"),
    ],
)
def test_the_country_counts_where_no_code_is_written(written: str, country: str, digits: str) -> None:
    assert normalize_number(written, country) == digits


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "empty"),
        (" \u200e ", "empty"),
        ("5,51199E+12", "scientific"),
        ("5.51199E+12", "scientific"),
        ("5e12", "scientific"),
        ("(11) 9A000-12B4", "letters"),
        ("0800-FLORES", "letters"),
        ("11 90000-1234 ramal 2", "letters"),
        ("11 9*000-1234", "characters"),
        ("11 90000-1234; 11 90000-5678", "characters"),
        ("1234", "too_short"),
        ("+55 11", "too_short"),
        ("(11) 90000-1234 / (11) 90000-5678", "too_long"),
        ("55 11 90000-123456", "too_long"),
        ("(20) 90000-1234", "not_in_use"),
        ("90000-1234", "premium_rate"),
        ("91234-5678", "not_in_use"),
        ("11 81234-5678", "not_in_use"),
        ("31612345678", "not_in_use"),
        ("+999 123 456 789", "country_code"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_reason(written: str, code: str) -> None:
    with pytest.raises(UnusableNumberError) as caught:
        normalize_number(written)

    assert caught.value.code == code
    assert str(caught.value).endswith(".")


def test_countries_are_known_by_their_code() -> None:
    assert is_country("BR")
    assert not is_country("XX")
    assert not is_country("br")
