"""Register the Mercado Pago gateway."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from core.plugin import PaymentGateway, Secret, Settings, hookimpl
from plugins.mercadopago.connection import API_URL
from plugins.mercadopago.gateway import Account, MercadoPagoGateway
from plugins.mercadopago.sites import Site


class MercadoPagoSettings(Settings, frozen=True):
    """The ``[plugins.mercadopago]`` table of platform.toml: one account of a seller."""

    access_token: Annotated[
        Secret,
        msgspec.Meta(description="Access token of the application, as env or file; that of a test user for tests."),
    ]
    webhook_secrets: Annotated[
        tuple[Secret, ...],
        msgspec.Meta(
            description="Secret signatures of the webhooks, each as env or file; the old one too while it is changed.",
            examples=[[{"env": "NAME"}]],
        ),
    ] = ()
    site: Annotated[
        Site, msgspec.Meta(description="Country of the seller's account, which fixes the one currency it can charge.")
    ] = "MLB"
    checkout: Annotated[
        Literal["pending", "plan"],
        msgspec.Meta(
            description="What the payer is sent to: a subscription of their own, or the link of a plan made for this"
            " checkout."
        ),
    ] = "pending"
    api_url: Annotated[
        str, msgspec.Meta(description="Address of the API; another one is a simulator's.", pattern=r"^https?://[^\s/]+")
    ] = API_URL
    timeout_seconds: Annotated[
        float, msgspec.Meta(description="Seconds one call may take before it counts as unanswered.", gt=0, le=120)
    ] = 20.0
    replay_window_seconds: Annotated[
        int,
        msgspec.Meta(
            description="How old a webhook may be, in seconds; its repetitions may carry the first one's time.",
            ge=60,
            le=604_800,
        ),
    ] = 86_400


class Plugin:
    """The Mercado Pago plugin."""

    Settings = MercadoPagoSettings
    requires = ">=1.0,<2"

    def __init__(self, settings: MercadoPagoSettings) -> None:
        account = Account(
            access_token=settings.access_token,
            webhook_secrets=settings.webhook_secrets,
            site=settings.site,
            checkout=settings.checkout,
            api_url=settings.api_url,
            timeout_seconds=settings.timeout_seconds,
            replay_window_seconds=settings.replay_window_seconds,
        )
        self._gateway = MercadoPagoGateway(account)

    @hookimpl
    def register_payment_gateways(self) -> Iterable[PaymentGateway]:
        """Return the one gateway, named ``mercadopago``."""
        return [self._gateway]
