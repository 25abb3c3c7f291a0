from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import EXPONENTS, Money, from_minor, read_amount, to_minor

CURRENCIES = st.sampled_from(["BRL", "USD", "CLP", "JPY", "COP", "KWD"])


@given(st.integers(1 - 10**12, 10**12 - 1), CURRENCIES)
def test_minor_units_come_back(number: int, currency: str) -> None:
    assert to_minor(from_minor(number, currency)) == number


@given(st.integers(0, 10**12 - 1), CURRENCIES)
def test_amounts_survive_json(number: int, currency: str) -> None:
    money = from_minor(number, currency)

    assert msgspec.json.decode(msgspec.json.encode(money), type=Money) == money


@pytest.mark.parametrize(
    ("written", "currency", "minor"),
    [
        (b"19.99", "BRL", 1999),
        (b"49.9", "BRL", 4990),
        (b'"24.50"', "USD", 2450),
        (b"20", "USD", 2000),
        (b"1e3", "JPY", 1000),
        (b"500", "CLP", 500),
        (b"500.00", "CLP", 500),
        (b"1.005", "KWD", 1005),
        (b"0.29", "BRL", 29),
    ],
)
def test_amounts_as_services_write_them(written: bytes, currency: str, minor: int) -> None:
    amount = read_amount(msgspec.json.decode(written, type=Decimal))

    assert to_minor(Money(amount, currency)) == minor


def test_a_service_may_count_otherwise() -> None:
    exponents = {**EXPONENTS, "ISK": 2}

    assert to_minor(Money(Decimal(5), "ISK"), exponents) == 500
    assert from_minor(500, "ISK", exponents) == Money(Decimal(5), "ISK")


@pytest.mark.parametrize(("amount", "currency"), [("19.999", "BRL"), ("0.5", "JPY"), ("9999999999999.99", "BRL")])
def test_what_is_no_amount_of_the_currency_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="is no amount of"):
        to_minor(Money(Decimal(amount), currency))


@pytest.mark.parametrize("value", [19.99, True])
def test_a_float_is_no_money(value: float) -> None:
    with pytest.raises(TypeError):
        read_amount(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money(value, "BRL")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        from_minor(value, "BRL")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1,5", ""])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="amount of money"):
        read_amount(value)


@pytest.mark.parametrize("code", ["brl", "R$", "REAL", "ÉUR"])
def test_a_currency_is_a_code(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(Decimal(1), code)
