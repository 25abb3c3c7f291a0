"""The mails that were taken, and what a reader sees of each."""

import email
import email.policy
import re
from collections import deque
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage

import msgspec

from core.plugin.testing import ReceivedMail

_WORD = r"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?="
_WORDS = re.compile(rf"{_WORD}(?:\s+{_WORD})*")
"""Encoded words of RFC 2047 that belong together."""
_UNREADABLE = (LookupError, ValueError, UnicodeError, AttributeError, KeyError)
"""What the parser of the standard library raises over mails that nobody should write."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail as a reader shows it; ``headers`` are decoded, in their order."""

    id: int
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    headers: list[tuple[str, str]]
    text: str
    html: str
    raw: str
    session: int
    """Which connection it came on."""

    def header(self, name: str) -> str:
        """Return the first header of a name, nothing where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Mailbox:
    """The last mails, the newest first."""

    def __init__(self, keep: int) -> None:
        self.mails: deque[Mail] = deque(maxlen=keep)
        self._count = 0

    def put(self, received: ReceivedMail) -> None:
        """Keep a mail; the oldest goes where there are too many."""
        self._count += 1
        self.mails.appendleft(_read(self._count, received))

    def find(self, number: int) -> Mail | None:
        """Return the mail with this id."""
        return next((mail for mail in self.mails if mail.id == number), None)


def _read(number: int, received: ReceivedMail) -> Mail:
    # The older policy decodes names that are folded as RFC 2047 says; the newer puts spaces into them.
    raw = received.content.decode("utf-8", "replace")
    head = email.message_from_string(raw, policy=email.policy.compat32)
    headers = [(name, _decoded(str(value))) for name, value in head.items()]
    body = email.message_from_bytes(received.content, policy=email.policy.default)
    return Mail(
        id=number,
        received_at=datetime.now(UTC),
        sender=received.sender,
        recipients=received.recipients,
        subject=next((value for name, value in headers if name.lower() == "subject"), ""),
        headers=headers,
        text=_part(body, "plain"),
        html=_part(body, "html"),
        raw=raw,
        session=received.session,
    )


def _decoded(value: str) -> str:
    unfolded = value.replace("\r\n", "").replace("\n", "")
    try:
        # Only the encoded words, for what stands beside them may be beyond ASCII by itself.
        return _WORDS.sub(lambda found: str(make_header(decode_header(found[0]))), unfolded)
    except _UNREADABLE:
        return unfolded


def _part(body: EmailMessage, kind: str) -> str:
    try:
        found = body.get_body((kind,))
        return str(found.get_content()).replace("\r\n", "\n") if isinstance(found, EmailMessage) else ""
    except _UNREADABLE:
        return ""
