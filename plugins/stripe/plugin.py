"""Register the Stripe gateway."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from core.plugin import PaymentGateway, Secret, Settings, hookimpl
from plugins.stripe.connection import Connection
from plugins.stripe.gateway import StripeGateway


class StripeSettings(Settings, frozen=True):
    """The ``[plugins.stripe]`` table of platform.toml."""

    secret_key: Annotated[
        Secret, msgspec.Meta(description="The account's secret key, sk_live_... or sk_test_..., as env or file.")
    ]
    webhook_secrets: Annotated[
        tuple[Secret, ...],
        msgspec.Meta(
            description="Secrets (whsec_...) of webhook addresses that were entered in Stripe's dashboard; empty where"
            " the platform registers its address by itself."
        ),
    ] = ()
    mode: Annotated[
        Literal["hosted", "elements"],
        msgspec.Meta(description="Pay on Stripe's page, or with Stripe's script in a page of yours (elements)."),
    ] = "hosted"
    publishable_key: Annotated[
        str, msgspec.Meta(description="The account's publishable key, pk_...; needed for elements alone.")
    ] = ""
    api_url: Annotated[
        str, msgspec.Meta(description="Address of the API instead of Stripe's own, such as that of the simulator.")
    ] = ""
    timeout_seconds: Annotated[
        float, msgspec.Meta(description="Seconds one call may take before it is repeated.", gt=0, le=80)
    ] = 20.0
    tolerance_seconds: Annotated[
        int,
        msgspec.Meta(
            description="How far the time of a webhook may be from this machine's, both ways.", ge=10, le=3600
        ),
    ] = 300


class Plugin:
    """The Stripe plugin."""

    Settings = StripeSettings
    requires = ">=1.0,<2"

    def __init__(self, settings: StripeSettings) -> None:
        if settings.mode == "elements" and not settings.publishable_key:
            raise ValueError("publishable_key: mode elements needs the account's publishable key")
        self._gateway = StripeGateway(
            Connection(settings.secret_key, url=settings.api_url, timeout_seconds=settings.timeout_seconds),
            webhook_secrets=settings.webhook_secrets,
            publishable_key=settings.publishable_key if settings.mode == "elements" else "",
            tolerance_seconds=settings.tolerance_seconds,
        )

    @hookimpl
    def register_payment_gateways(self) -> Iterable[PaymentGateway]:
        """Return the one gateway, named ``stripe``."""
        return [self._gateway]
