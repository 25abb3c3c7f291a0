"""What a simulated Mercado Pago is like; the defaults are those of the real one."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from plugins.mercadopago.sites import CURRENCIES, Site


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of one simulator; on the command line ``--option name=value``, while it runs ``/simulator/options``."""

    access_token: str = ""
    """Empty: any token is taken."""
    webhook_url: str = ""
    """Where webhooks go; empty: nowhere."""
    webhook_secret: str = ""
    """What signs them; empty: they are not signed."""
    site: Site = "MLB"
    account: Literal["any", "real", "test"] = "any"
    """Whether the seller is real or a test user: ``test`` takes test payers alone, ``real`` none of them."""
    loopback_back_urls: bool = True
    """The real one takes https alone; a platform on this machine has http."""
    activation: bool = False
    """Links have ``activation=true`` and lead to a page that does not exist."""
    first_charge_hours: Annotated[float, msgspec.Meta(ge=0, le=72)] = 1.0
    """From the payer's yes to the first charge; some saw three."""
    cancel_after: Annotated[int, msgspec.Meta(ge=1, le=12)] = 3
    """So many installments that could not be collected cancel a subscription."""
    amounts: Literal["number", "text"] = "number"
    """``text``: amounts come as "24.50"."""
    lists_installments: bool = True
    """Some subscriptions never have a listed authorized payment, whatever was charged."""
    finds_payments: bool = True
    """With test credentials the search for payments may find none."""
    ts_unit: Literal["ms", "s"] = "ms"
    """What the time in a signature counts."""
    webhooks: Literal["send", "hold", "drop", "duplicate"] = "send"
    """``hold`` keeps deliveries until they are released in any order."""
    webhooks_first: bool = False
    """Deliveries go out before the call that caused them is answered."""
    tick_seconds: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """How often it looks for what is due."""

    @property
    def currency(self) -> str:
        """The site's currency."""
        return CURRENCIES[self.site]


OPTIONS = frozenset(Options.__struct_fields__)
"""The names of all options."""


def parse_options(given: Mapping[str, object], base: Options | None = None) -> Options:
    """Read options from texts, over those of ``base``; raises ``ValueError`` that names the wrong one."""
    known = msgspec.structs.asdict(base) if base is not None else {}
    try:
        return msgspec.convert({**known, **given}, Options, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
