"""The webhook address at Stripe, and what the account says of itself.

An address that is not pinned to an API version follows the account's, and changes its shape without a word.
"""

from typing import Any, cast

import stripe

from core.plugin import RefusedError, RegisteredWebhook, RetryableError, Secret
from plugins.stripe.connection import Connection, is_missing, under
from plugins.stripe.objects import Account, Named
from plugins.stripe.webhook import EVENTS

_REGISTERING = "registering the webhook address"
_CHECKING = "checking the account"
_OURS = {"recado": "webhook"}
"""The metadata of addresses that we registered."""


async def register(connection: Connection, url: str, key: str) -> RegisteredWebhook:
    """Let our events be delivered to ``url`` in the API version of the library; the secret is told only here."""
    params: Any = {
        "url": url,
        "enabled_events": [*EVENTS],
        "api_version": stripe.api_version,
        "description": "Recado",
        "metadata": _OURS,
    }
    made = await connection.read(
        lambda v1: v1.webhook_endpoints.create_async(
            cast("stripe.params.WebhookEndpointCreateParams", params), under(key)
        ),
        Named,
        _REGISTERING,
    )
    if not made.secret:
        raise RetryableError(f"{_REGISTERING}: Stripe gave no secret.")
    return RegisteredWebhook(gateway_id=made.id, secret=Secret(made.secret), version=made.api_version or "")


async def is_current(connection: Connection, number: str, url: str) -> bool:
    """Say whether an address is there and enabled, with our events in the API version of the library.

    Stripe disables one that fails for days, and one of test mode is none of live mode.
    """
    found = await connection.find(
        lambda v1: v1.webhook_endpoints.retrieve_async(number), Named, "looking the webhook address up"
    )
    return (
        found is not None
        and (found.url, found.status, found.api_version) == (url, "enabled", stripe.api_version)
        and {*EVENTS} <= {*found.enabled_events}
    )


async def remove(connection: Connection, number: str) -> None:
    """Delete an address; one that is gone is no error."""
    try:
        await connection.call(lambda v1: v1.webhook_endpoints.delete_async(number), "removing the webhook address")
    except RefusedError as error:
        if not is_missing(error):
            raise


async def check(connection: Connection, *, has_secret: bool) -> str:
    """Say which account answers, in which mode, and what of its webhooks has to be mended."""
    account = await connection.read(lambda v1: v1.accounts.retrieve_current_async(), Account, _CHECKING)
    named = (account.business_profile.name if account.business_profile else None) or account.id
    mode = {True: "live mode", False: "test mode", None: "unknown mode"}[connection.live]
    listed = await connection.rows(lambda v1: v1.webhook_endpoints.list_async({"limit": 100}), Named, _CHECKING)
    enabled = [one for one in listed if one.status == "enabled"]
    warnings = []
    if not has_secret and not enabled:
        warnings.append("no webhook address is registered and no webhook secret is set: payments are seen late")
    other = sorted({one.api_version or "the account's" for one in enabled} - {stripe.api_version})
    if other:
        warnings.append(f"a webhook address has API version {', '.join(other)} instead of {stripe.api_version}")
    return "; ".join([f"Stripe, account {named[:80]}, {mode}", *warnings])
