"""Register the SMTP notifier."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from core.plugin import Notifier, Secret, Settings, hookimpl
from plugins.smtp.addresses import read_address
from plugins.smtp.connection import Account
from plugins.smtp.message import Author
from plugins.smtp.notifier import SmtpNotifier

_GMAIL = ("gmail.com", "googlemail.com")


class SmtpSettings(Settings, frozen=True):
    """The ``[plugins.smtp]`` table of platform.toml."""

    host: Annotated[
        str,
        msgspec.Meta(
            description="Name of the mail server, as in its certificate.",
            examples=["smtp.gmail.com"],
            pattern=r"^[A-Za-z0-9._:-]+$",
        ),
    ]
    from_address: Annotated[
        str,
        msgspec.Meta(
            description="Address that mails come from; the server must let this account use it.",
            examples=["messages@example.com"],
        ),
    ]
    from_name: Annotated[str, msgspec.Meta(description="Name that mails come from.")] = ""
    reply_to: Annotated[str, msgspec.Meta(description="Address that answers go to; empty: from_address.")] = ""
    username: Annotated[
        str,
        msgspec.Meta(
            description="Name to sign in with, at Gmail the whole address; empty where the server asks none.",
            examples=["messages@example.com"],
        ),
    ] = ""
    password: Annotated[
        Secret | None,
        msgspec.Meta(description="Password to sign in with, at Gmail an app password, as env or file."),
    ] = None
    port: Annotated[
        int, msgspec.Meta(description="Port of the server; 465 as a rule where security is tls.", ge=1, le=65535)
    ] = 587
    security: Annotated[
        Literal["starttls", "tls"],
        msgspec.Meta(description="Encrypt the connection after its first words (starttls), or from its start (tls)."),
    ] = "starttls"
    ca_file: Annotated[
        str,
        msgspec.Meta(
            description="PEM file of the authority that signed the server's certificate, where the system does not"
            " know it."
        ),
    ] = ""
    timeout_seconds: Annotated[
        float,
        msgspec.Meta(
            description="Seconds until a connection must be signed in, and again until the server must be ready for the"
            " text of a mail; over that it may take four minutes.",
            gt=0,
            le=30,
        ),
    ] = 20.0
    idle_seconds: Annotated[
        float, msgspec.Meta(description="Seconds that a connection stays open for the next mail.", ge=0, le=300)
    ] = 20.0


class Plugin:
    """The SMTP plugin."""

    Settings = SmtpSettings
    requires = ">=1.0,<2"

    def __init__(self, settings: SmtpSettings) -> None:
        if bool(settings.username) != bool(settings.password):
            raise ValueError("username, password: one is of no use without the other")
        account = Account(
            host=settings.host,
            port=settings.port,
            security=settings.security,
            username=settings.username,
            password=_password(settings),
            ca_file=settings.ca_file,
            timeout_seconds=settings.timeout_seconds,
            idle_seconds=settings.idle_seconds,
        )
        author = Author(
            address=_own_address(settings.from_address, "from_address"),
            name=settings.from_name,
            reply_to=_own_address(settings.reply_to, "reply_to") if settings.reply_to else "",
        )
        self._notifier = SmtpNotifier(account, author)

    @hookimpl
    def register_notifiers(self) -> Iterable[Notifier]:
        """Return the one notifier, named ``smtp``."""
        return [self._notifier]


def _password(settings: SmtpSettings) -> Secret:
    """Return the password, at Gmail without the spaces that Google shows an app password with."""
    given = settings.password.reveal() if settings.password else ""
    host = settings.host.rstrip(".").lower()
    is_gmail = any(host == domain or host.endswith(f".{domain}") for domain in _GMAIL)
    return Secret("".join(given.split()) if is_gmail else given)


def _own_address(text: str, key: str) -> str:
    found = read_address(text)
    if found is None or not found.isascii():
        raise ValueError(f"{key}: {text!r} is no address such as messages@example.com")
    return found
