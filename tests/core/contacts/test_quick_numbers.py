"""The short way for numbers gives what the long way gives, or nothing."""

import random

import phonenumbers
import pytest

from core.contacts.numbers import UnusableNumberError, normalize_carefully, normalize_number
from core.contacts.quick_numbers import quick_number

COUNTRIES = (
    "BR",
    "PT",
    "AR",
    "MX",
    "ES",
    "CO",
    "CL",
    "PE",
    "UY",
    "DE",
    "FR",
    "AO",
    "MZ",
    "IN",
    "US",
    "GB",
    "IT",
    "RU",
    "JP",
)
FORMS = (
    "{cc}{n}",
    "+{cc}{n}",
    "00{cc}{n}",
    "{n}",
    "0{n}",
    "015{n}",
    "021{n}",
    "90{n}",
    "0{cc}{n}",
    "+{cc}0{n}",
    "8{n}",
    "011{cc}{n}",
)


def _carefully(written: str, country: str) -> str | None:
    try:
        return normalize_carefully(written, country)
    except UnusableNumberError:
        return None


def _spread(chance: random.Random, digits: str) -> str:
    """Put separators between digits, as people do."""
    plus, rest = ("+", digits[1:]) if digits[0] == "+" else ("", digits)
    kept = [char + chance.choice([""] * 12 + [" ", "-", ".", ") ", " (", "/"]) for char in rest]
    return chance.choice(["", "", "", " ", "("]) + plus + "".join(kept)


def _national(chance: random.Random, country: str) -> str:
    """Return the digits of a line of the country, or nearly."""
    kind = chance.choice([0, 0, 1, 1, 2, 3, 4])
    example = phonenumbers.example_number_for_type(country, kind)
    digits = phonenumbers.national_significant_number(example) if example else "1133334444"
    places = range(len(digits))
    changed = {chance.choice(places) for _ in range(chance.choice([0, 1, 2, 4, 9]))}
    made = "".join(str(chance.randrange(10)) if place in changed else digits[place] for place in places)
    return chance.choice([made, made, made, made[:-1], made + "1", made[1:], made + "000"])


@pytest.mark.parametrize("seed", range(8))
def test_generated_numbers_come_out_as_the_library_has_them(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same numbers each time
    known = 0
    for _ in range(2500):
        country, other = chance.choice(COUNTRIES), chance.choice(COUNTRIES)
        code = phonenumbers.country_code_for_region(country)
        digits = chance.choice(FORMS).format(cc=code, n=_national(chance, country))
        written = _spread(chance, digits)
        for where in (country, other):
            quick = quick_number(written, where)
            known += quick is not None
            assert quick in {None, _carefully(written, where)}, (written, where)

    # What it never knows would be in step with anything.
    assert known > 250


@pytest.mark.parametrize("seed", range(4))
def test_brazilian_numbers_digit_by_digit(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same numbers each time
    for _ in range(4000):
        length = chance.choice([8, 9, 10, 11, 11, 12, 12, 13, 13, 14])
        digits = "".join(str(chance.randrange(10)) for _ in range(length))
        written = chance.choice(["", "", "55", "+55", "0", "00", "90", "055"]) + digits
        assert quick_number(written, "BR") in {None, _carefully(written, "BR")}, written


@pytest.mark.parametrize(
    "written",
    [
        "+5511900001234",
        "+55 (11) 90000-1234",
        "5511900001234",
        "(11) 90000-1234",
        "011 90000-1234",
        "0055 11 90000.1234",
    ],
)
def test_usual_numbers_take_the_short_way(written: str) -> None:
    assert quick_number(written, "BR") == "5511900001234"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "+",
        "1190000.0000",
        "-+5511900001234",
        "5511900001234@c.us",
        "11 9000O-1234",
        "(75) 8825-1234",
        "+1 202 555 0143",
        "٠١٢٣٤٥٦٧٨٩",
    ],
)
def test_what_is_unusual_takes_the_long_way(written: str) -> None:
    assert quick_number(written, "BR") is None


def test_nothing_changes_for_who_asks() -> None:
    assert normalize_number("(11) 90000-1234") == "5511900001234"
    assert normalize_number("(75) 8825-1234") == "557588251234"
