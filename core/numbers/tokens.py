"""Numbers that sign in with the token of their server: nobody connects them, their state alone is asked for."""

from typing import Protocol, runtime_checkable

from core.plugin import MessagingProvider, Sender, SenderReport, SignIn


@runtime_checkable
class StateTelling(Protocol):
    """The one part of ``SignIn`` that a provider has whose numbers sign in by token; every ``SignIn`` has it too."""

    async def state(self, sender: Sender) -> SenderReport:
        """Ask for the present state."""
        ...


def needs_no_sign_in(provider: MessagingProvider | None) -> bool:
    """Say whether a number of this provider is connected as soon as its state says so."""
    return isinstance(provider, StateTelling) and not isinstance(provider, SignIn)
