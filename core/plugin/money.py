"""Money: exact amounts, and the minor units in which services count.

An amount is a ``Decimal`` in the currency's major unit; a float never becomes one, since ``int(19.99 * 100)`` is 1998.
The exponents are ISO 4217's, maintained at https://www.six-group.com/en/products-services/financial-information/\
market-reference-data/data-standards.html (list one).
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType

import msgspec

DEFAULT_EXPONENT = 2
_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: exponent for exponent, codes in _DECIMALS.items() for code in codes.split()}
)
"""How many decimals a currency has where they are not two."""
_MAXIMUM_DIGITS = 12
_CODE_LENGTH = 3


class Money(msgspec.Struct, frozen=True):
    """An amount in the currency's major unit, exact; ``currency`` is an ISO 4217 code in upper case.

    Raises:
        ValueError: The amount is no finite number, or the currency no code.
        TypeError: The amount is a float, which is not exact.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount of money is a Decimal, not a {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise ValueError("an amount of money is a finite number")
        code = self.currency
        if len(code) != _CODE_LENGTH or not (code.isascii() and code.isalpha() and code.isupper()):
            raise ValueError(f"{code[:10]!r} is no ISO 4217 code in upper case")


def read_amount(value: str | int | Decimal) -> Decimal:
    """Read an amount as services write it, ``"24.50"``, ``49.9`` or ``20``; never a float.

    Raises:
        ValueError: It is no finite number.
        TypeError: It is a float: decode JSON numbers as ``Decimal``, which msgspec does from their text.
    """
    if isinstance(value, bool | float):
        raise TypeError(f"an amount of money is no {type(value).__name__}")
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise ValueError("this is no amount of money") from None
    if not amount.is_finite():
        raise ValueError("an amount of money is a finite number")
    return amount


def exponent_of(currency: str, exponents: Mapping[str, int] = EXPONENTS) -> int:
    """Return how many decimals a currency has; ``exponents`` is a service's own list where it differs from ISO's."""
    return exponents.get(currency, DEFAULT_EXPONENT)


def to_minor(money: Money, exponents: Mapping[str, int] = EXPONENTS) -> int:
    """Return the amount in minor units: 19.99 BRL is 1999, 500 CLP is 500.

    Raises:
        ValueError: The amount has more decimals than the currency, or more digits than money has.
    """
    exponent = exponent_of(money.currency, exponents)
    _, digits, own = money.amount.normalize().as_tuple()
    if not isinstance(own, int) or own < -exponent or len(digits) + max(own, 0) > _MAXIMUM_DIGITS + exponent:
        raise ValueError(f"{money.amount} is no amount of {money.currency}: it has {exponent} decimals")
    return int(money.amount.scaleb(exponent))


def from_minor(number: int, currency: str, exponents: Mapping[str, int] = EXPONENTS) -> Money:
    """Return an amount given in minor units: 1999 BRL is 19.99, 500 CLP is 500."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError("minor units are counted in whole numbers")
    return Money(Decimal(number).scaleb(-exponent_of(currency, exponents)), currency)
