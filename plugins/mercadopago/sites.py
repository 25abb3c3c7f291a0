"""The countries in which Mercado Pago has subscriptions, and what each of them charges in.

A subscription's currency must be that of the seller's site: ``Invalid field -> auto_recurring.currency_id`` otherwise
(https://www.mercadopago.com.br/developers/en/reference/online-payments/subscriptions/create-preapproval/post).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Site = Literal["MLA", "MLB", "MLC", "MCO", "MLM", "MPE", "MLU"]

CURRENCIES: Mapping[Site, str] = MappingProxyType(
    {"MLA": "ARS", "MLB": "BRL", "MLC": "CLP", "MCO": "COP", "MLM": "MXN", "MPE": "PEN", "MLU": "UYU"}
)
"""ISO 4217 code by site."""
