"""Phone numbers as people type them."""

import pytest

from core.errors import InvalidInputError
from core.numbers.phones import parse_phone, phone_of


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("+5511987654321", "5511987654321"),
        ("5511987654321", "5511987654321"),
        (" +55 (11) 98765-4321 ", "5511987654321"),
        ("+55 11 8765-4321", "551187654321"),
        ("+1 213 213 2130", "12132132130"),
    ],
)
def test_usual_ways_to_write_a_number(written: str, digits: str) -> None:
    assert parse_phone(written) == digits


@pytest.mark.parametrize("written", ["", "12", "11987654321", "abc", "+999123456789", "++", "5511987654321987"])
def test_what_cannot_be_a_number(written: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_phone(written)
    assert list(raised.value.errors) == ["phone"]


@pytest.mark.parametrize(
    ("address", "digits"),
    [
        ("5511988887777@c.us", "5511988887777"),
        ("5511988887777", "5511988887777"),
        ("999000111222333@lid", ""),
        ("someone@example.com", ""),
        ("", ""),
    ],
)
def test_the_phone_inside_an_address(address: str, digits: str) -> None:
    assert phone_of(address) == digits
