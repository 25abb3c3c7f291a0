"""A notification as a mail."""

import hashlib
from datetime import UTC, datetime
from email.charset import QP, Charset
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, quote

import msgspec
from aiosmtplib.protocol import PERIOD_REGEX, normalize_message_line_endings

from core.plugin import Notification
from plugins.smtp.addresses import one_line, printable

LONGEST_LINE = 78
"""Characters, after RFC 5322."""


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who mails come from."""

    address: str
    name: str = ""
    reply_to: str = ""


def message_id(key: str, address: str) -> str:
    """Return the Message-ID of a notification: always the same, so that whoever gets it twice has it once."""
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:40]
    return f"<{digest}@{address.rpartition('@')[2]}>"


def build(notification: Notification, author: Author, recipient: str) -> bytes:
    """Return the whole mail with CRLF; beyond ASCII only where ``recipient`` is.

    The text comes first and the page as its alternative; both are readable in a terminal without decoding where they
    are ASCII with short lines, else quoted-printable.
    """
    utf8 = not recipient.isascii()
    mail = EmailMessage(policy=SMTPUTF8 if utf8 else SMTP)
    _set_text(mail, printable(notification.text), "plain")
    if notification.html:
        page = EmailMessage(policy=SMTP)
        _set_text(page, printable(notification.html), "html")
        del page["MIME-Version"]
        mail.make_alternative()
        mail.attach(page)
    head = {
        "From": _mailbox(author.name, author.address),
        "To": _mailbox(notification.name, recipient),
        "Reply-To": author.reply_to,
        "Subject": _encoded(one_line(notification.subject), len("Subject: ")),
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": message_id(notification.key, author.address),
        # RFC 3834: no holiday notice answers it.
        "Auto-Submitted": "auto-generated",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    return lines.encode() + mail.as_bytes()


def as_content(mail: bytes) -> bytes:
    """Return a mail as it follows ``DATA``: a line's first dot is twice there, and one ends it (RFC 5321, 4.5.2)."""
    return PERIOD_REGEX.sub(b"..", normalize_message_line_endings(mail)) + b".\r\n"


def _set_text(part: EmailMessage, text: str, subtype: str) -> None:
    plain = text.isascii() and all(len(line) <= LONGEST_LINE for line in text.split("\n"))
    part.set_content(text, subtype=subtype, charset="utf-8", cte="7bit" if plain else "quoted-printable")


def _mailbox(name: str, address: str) -> str:
    """Return a name with its address, folded where it is long."""
    clean = one_line(name)
    if not clean:
        return address
    if clean.isascii() and "=?" not in clean and len(clean) + len(address) < LONGEST_LINE - 20:
        return f'"{quote(clean)}" <{address}>'
    encoded = _encoded(clean, len("Reply-To: "), always=True)
    return f"{encoded}\r\n <{address}>"


def _encoded(text: str, taken: int, *, always: bool = False) -> str:
    """Return ``text`` as a header may hold it: as it is, else in words of RFC 2047 that end between two signs."""
    if not always and text.isascii() and "=?" not in text and len(text) + taken <= LONGEST_LINE:
        return text
    charset = Charset("utf-8")
    charset.header_encoding = QP if text.isascii() else charset.header_encoding
    return Header(text, charset, header_name=" " * (taken - 2)).encode(linesep="\r\n")
