"""``recado GATEWAY setup``: the command of every payment gateway, by the gateway's name."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from core.errors import OperatorError

if TYPE_CHECKING:
    from core.plugin import PaymentGateway

HELP = "`recado GATEWAY setup`, such as `recado stripe setup`, makes plans and the webhook address known to a gateway."
_COMMAND = "setup"


def offer(app: App, tokens: Sequence[str]) -> None:
    """Add the gateway's command to ``app`` where ``tokens`` ask for it; which gateways there are, plugins decide."""
    name = tokens[tokens.index(_COMMAND) - 1] if _COMMAND in tokens[1:] else ""
    if not name or name.startswith("-") or name in app:
        return
    gateway = App(name=name, help=f"The payment gateway {name}.")

    def setup(
        *,
        renew_webhook: Annotated[
            bool,
            Parameter(
                help="Register the webhook address anew, for another secret; the old one counts two days more.",
                negative="",
            ),
        ] = False,
    ) -> int:
        """Make plans and the webhook address known to the gateway; what is there already is left alone."""
        return asyncio.run(_set_up(name, renew_webhook=renew_webhook))

    gateway.command(setup, name=_COMMAND)
    app.command(gateway)


async def _set_up(name: str, *, renew_webhook: bool) -> int:
    from core.checks import reach_database, reach_redis
    from core.config import load_config
    from core.embedded.session import servers_for
    from core.logging import configure_logging
    from core.plugin.loader import load_providers
    from core.startup import running_process

    chosen = load_config()
    configure_logging(chosen.logging)
    # Before servers are started for the while.
    providers = load_providers(chosen.plugins)
    await providers.aclose()
    if name not in providers.gateways_by_name:
        known = ", ".join(sorted(providers.gateways_by_name)) or "none"
        raise OperatorError(f"There is no payment gateway {name} (enabled: {known}): add [plugins.{name}].")
    async with servers_for(chosen) as config:
        await reach_database(config)
        await reach_redis(config)
        async with running_process(config) as process:
            failed = await _print(process.providers.gateways_by_name[name], renew_webhook=renew_webhook)
    if failed:
        return 1
    print("To test it: POST /api/payments/checkout, pay on the page that it names with a test card of the gateway, and")
    print("see GET /api/subscription. `recado check` says whether webhooks can be verified.")
    return 0


async def _print(gateway: "PaymentGateway", *, renew_webhook: bool) -> bool:
    """Print a line for each thing, and return whether one failed; whatever ends it is one line too."""
    import asyncpg

    from core.checks import describe
    from core.payments.setup import set_up
    from core.plugin import ProviderError

    failed = False
    try:
        async for line in set_up(gateway, renew_webhook=renew_webhook):
            print(f"{line.outcome:<11}{line.text}", flush=True)
            failed = failed or line.outcome == "FAILED"
    except asyncpg.UndefinedTableError:
        raise OperatorError("The database is empty or too old: run `recado migrate` first.") from None
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        told = OperatorError(str(error)) if isinstance(error, ProviderError) else error
        raise OperatorError(f"{gateway.name}: {describe(told)}") from None
    return failed
