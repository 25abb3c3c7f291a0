"""Send notifications as mails."""

import asyncio

import aiosmtplib

from core.plugin import Channel, HandingOver, Notification, RefusedError, UnavailableError, UncertainError
from plugins.smtp.addresses import read_address
from plugins.smtp.answers import Step, explain
from plugins.smtp.connection import Account, Connections, drop
from plugins.smtp.message import Author, as_content, build

_REFUSING = range(400, 600)


class SmtpNotifier:
    """Sends each notification as a mail of its own to one person."""

    name = "smtp"
    channel: Channel = "email"

    def __init__(self, account: Account, author: Author) -> None:
        self._account = account
        self._author = author
        self._connections = Connections(account, local_name=author.address.rpartition("@")[2])

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        """Hand one mail over; await ``handing_over`` when the server waits for its text.

        From the first byte of that on, a lost answer leaves open whether the server took the mail.

        Raises:
            UnavailableError: Certainly not taken.
            LimitReachedError: The account may send nothing for now.
            RefusedError: The server, or the form of the address, will never let this person have it.
            MisconfiguredError: Credentials, certificate or sender are wrong.
            UncertainError: The mail was begun, and no answer came.
        """
        recipient = read_address(notification.recipient)
        if recipient is None:
            raise RefusedError("The recipient is no e-mail address.")
        mail = build(notification, self._author, recipient)
        async with self._connections.lend() as client:
            await self._agree(client, recipient)
            try:
                await handing_over()
            except BaseException:
                # The server takes whatever follows for the text of this mail.
                drop(client)
                raise
            await self._hand_over(client, mail, recipient)

    async def check(self) -> str:
        """Connect and sign in, and say who the server takes mail of."""
        account = self._account
        # Not one that signed in before somebody changed the password.
        async with self._connections.lend(anew=True) as client:
            try:
                await client.noop()
            except (aiosmtplib.SMTPException, OSError) as error:
                raise self._connections.explain(error, "sign_in") from None
        way = "STARTTLS" if account.security == "starttls" else "TLS"
        return f"{account.title} ({way}) accepts {account.username or 'mail without a sign-in'}"

    async def aclose(self) -> None:
        """Close the connections of this loop."""
        await self._connections.aclose()

    async def _agree(self, client: aiosmtplib.SMTP, recipient: str) -> None:
        """Come to where the server waits for the text of a mail; nothing of it lasts when the connection ends."""
        utf8 = not recipient.isascii()
        if utf8 and not client.supports_extension("smtputf8"):
            raise RefusedError(f"{self._account.title} takes no addresses beyond ASCII.", provider_code="SMTPUTF8")
        encoding = "utf-8" if utf8 else "ascii"
        step: Step = "sender"
        try:
            async with asyncio.timeout(self._account.timeout_seconds):
                options = ["BODY=8BITMIME", "SMTPUTF8"] if utf8 else []
                await client.mail(self._author.address, options=options, encoding=encoding)
                step = "recipient"
                await client.rcpt(recipient, encoding=encoding)
                step = "content"
                # Not by the library's ``data``, which does not tell what was lost before the mail from what was after.
                code, text = await client.execute_command(b"DATA")
                if code != aiosmtplib.SMTPStatus.start_input:
                    raise aiosmtplib.SMTPDataError(code, text)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._connections.explain(error, step, recipient) from None

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: bytes, recipient: str) -> None:
        """Write the text of a mail and await what the server says to it."""
        title = self._account.title
        protocol = client.protocol
        if protocol is None or not protocol.is_connected:
            raise UnavailableError(f"{title} ended the connection before the mail was begun.")
        protocol.write(as_content(mail))
        try:
            async with asyncio.timeout(self._account.final_seconds):
                code, text = await protocol.read_response()
        except (aiosmtplib.SMTPException, OSError):
            # Also a reply that is none.
            raise UncertainError(f"{title} gave no answer to a mail that was handed over.") from None
        if code in _REFUSING:
            raise explain(code, text, "content", title, recipient=recipient)
        if code != aiosmtplib.SMTPStatus.completed:
            raise UncertainError(f"{title} gave an answer that is not understood to a mail that was handed over.")
