"""What goes wrong: by the address that is written to, and on request."""

from typing import Annotated, Literal

import msgspec

from core.plugin.testing import Cut, Hang, MailCommand, MailReaction, MailReply

Kind = Literal[
    "wrong_password",
    "daily_limit",
    "rate_limit",
    "busy",
    "sender_refused",
    "policy",
    "no_starttls",
    "cut_before_data",
    "cut_at_data",
    "cut_after_data",
    "hang_before_data",
    "hang_at_data",
    "hang_after_data",
]

# Gmail's words where there are any.
_FAULTS: dict[str, tuple[str, MailReaction]] = {
    "wrong_password": ("PASSWORD", MailReply(535, "5.7.8 Username and Password not accepted.")),
    "daily_limit": ("CONTENT", MailReply(550, "5.4.5 Daily user sending limit exceeded.")),
    "rate_limit": ("MAIL", MailReply(421, "4.7.0 Too many messages at this rate, closing connection.")),
    "busy": ("MAIL", MailReply(451, "4.3.0 Mail server temporarily rejected message.")),
    "sender_refused": ("MAIL", MailReply(553, "5.7.1 Sender address rejected: not owned by user")),
    "policy": ("CONTENT", MailReply(554, "5.7.1 Message blocked as likely unsolicited mail.")),
    "cut_before_data": ("RCPT", Cut()),
    "cut_at_data": ("DATA", Cut()),
    "cut_after_data": ("CONTENT", Cut()),
    "hang_before_data": ("RCPT", Hang()),
    "hang_at_data": ("DATA", Hang()),
    "hang_after_data": ("CONTENT", Hang()),
}
_REFUSALS = {
    "refused": (550, "5.1.1", "User unknown in local recipient table"),
    "full": (452, "4.2.2", "The mailbox is over quota"),
    "greylisted": (450, "4.2.0", "Greylisted, see you later"),
}
"""By the local part of the address up to a "+"; ``greylisted`` lets every second attempt through."""


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One order of trouble, for the next ``count`` times that it fits; 0 is until it is taken back."""

    kind: Kind
    count: Annotated[int, msgspec.Meta(ge=0)] = 1


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self.orders: list[Fault] = []
        self._greylisted: set[str] = set()

    @property
    def offers_starttls(self) -> bool:
        """Whether no order says otherwise; that one counts until it is taken back."""
        return all(order.kind != "no_starttls" for order in self.orders)

    def decide(self, command: MailCommand) -> MailReaction | None:
        """Return what happens instead of the right thing."""
        for order in self.orders:
            verb, reaction = _FAULTS.get(order.kind, ("", None))
            if verb == command.verb:
                order.count -= 1
                if order.count == 0:
                    self.orders.remove(order)
                return reaction
        return self._refusal(command.argument) if command.verb == "RCPT" else None

    def _refusal(self, address: str) -> MailReply | None:
        local = address.partition("@")[0].partition("+")[0].lower()
        if local == "greylisted" and address in self._greylisted:
            self._greylisted.remove(address)
            return None
        if local == "greylisted":
            self._greylisted.add(address)
        if local not in _REFUSALS:
            return None
        code, enhanced, why = _REFUSALS[local]
        # Postfix repeats the address, which a person chose.
        return MailReply(code, f"{enhanced} <{address}>: Recipient address rejected: {why}")
