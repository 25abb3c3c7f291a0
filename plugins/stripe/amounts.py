"""Stripe's minor units, which are ISO 4217's but for some currencies.

https://docs.stripe.com/currencies: the zero-decimal list, the three-decimal list, and the special cases.
"""

from collections.abc import Mapping
from types import MappingProxyType

from core.plugin import Money, RefusedError, from_minor, to_minor

_ZERO = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE = "BHD JOD KWD OMR TND"
_TWO = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC"
    " CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS KHR"
    " KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK"
    " PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD"
    " UYU UZS WST YER ZAR ZMW"
)
EXPONENTS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(_ZERO.split(), 0) | dict.fromkeys(_THREE.split(), 3) | dict.fromkeys(_TWO.split(), 2)
)
"""How many decimals Stripe counts for each currency it takes."""
_MULTIPLES = {"ISK": 100, "UGX": 100} | dict.fromkeys(_THREE.split(), 10)
"""What an amount in minor units must divide by: krónur are sent with two decimals that are always zero."""


def minor(money: Money) -> int:
    """Return the amount as Stripe counts it.

    Raises:
        RefusedError: Stripe does not take the currency, or not so exact an amount of it.
    """
    if money.currency not in EXPONENTS:
        raise RefusedError(f"Stripe takes no {money.currency}.", provider_code="invalid_currency")
    try:
        amount = to_minor(money, EXPONENTS)
    except ValueError as error:
        raise RefusedError(str(error), provider_code="invalid_amount") from None
    if amount % _MULTIPLES.get(money.currency, 1):
        raise RefusedError(
            f"Stripe does not take {money.amount} {money.currency}: the last decimal must be zero.",
            provider_code="invalid_amount",
        )
    return amount


def money(number: int, currency: str) -> Money:
    """Return an amount that Stripe counts in minor units."""
    return from_minor(number, currency.upper(), EXPONENTS)
