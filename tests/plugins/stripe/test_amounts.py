"""Amounts in Stripe's minor units."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.plugin import Money, RefusedError
from plugins.stripe.amounts import EXPONENTS, minor, money


@pytest.mark.parametrize(
    ("amount", "currency", "number"),
    [
        ("19.99", "BRL", 1999),
        ("49.9", "BRL", 4990),
        ("24.50", "USD", 2450),
        ("500", "CLP", 500),
        ("1000", "JPY", 1000),
        ("5", "ISK", 500),
        ("5", "UGX", 500),
        ("100", "MGA", 100),
        ("1.230", "KWD", 1230),
    ],
)
def test_amounts(amount: str, currency: str, number: int) -> None:
    assert minor(Money(Decimal(amount), currency)) == number
    assert money(number, currency.lower()) == Money(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("0.5", "JPY"), ("0.5", "CLP"), ("5.5", "ISK"), ("1.234", "KWD"), ("1.999", "BRL"), ("1", "CUP"), ("1", "XTS")],
)
def test_what_stripe_does_not_take(amount: str, currency: str) -> None:
    with pytest.raises(RefusedError):
        minor(Money(Decimal(amount), currency))


@given(st.sampled_from(["BRL", "USD", "CLP", "JPY", "COP", "PYG"]), st.integers(0, 10**10))
def test_there_and_back(currency: str, number: int) -> None:
    assert minor(money(number, currency)) == number
    assert EXPONENTS[currency] == (0 if currency in {"CLP", "JPY", "PYG"} else 2)
