"""An SMTP server that keeps what it takes and misbehaves on demand, for simulators and tests of mail notifiers.

It speaks RFC 5321 with STARTTLS (RFC 3207), AUTH PLAIN and LOGIN (RFC 4954) and SMTPUTF8 (RFC 6531), and is as
strict as servers on the internet are: no sign-in in clear text, no mail without a sign-in.
"""

import asyncio
import base64
import binascii
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Self

import msgspec

from core.plugin.scripted_server import Cut, Hang

LARGEST = 25 * 1024 * 1024
"""Bytes of a mail, as at Gmail."""
MOST_COMMANDS = 10_000
"""How many it remembers."""
HOST = "127.0.0.1"
_PATH = re.compile(r"(?:FROM|TO):\s*<([^<>\s]*)>(.*)", re.IGNORECASE)


class MailReply(msgspec.Struct, frozen=True):
    """A reply of the server; ``text`` begins with the enhanced status code where there is one."""

    code: int
    text: str = "OK"


MailReaction = MailReply | Cut | Hang


class MailSession(msgspec.Struct):
    """What the server knows of one connection."""

    number: int
    secured: bool = False
    user: str = ""
    sender: str = ""
    recipients: list[str] = []
    utf8: bool = False


class MailCommand(msgspec.Struct, frozen=True):
    """One step of a conversation.

    ``verb`` is the command in capitals; besides ``CONNECT`` for the greeting, ``PASSWORD`` for the end of a sign-in and
    ``CONTENT`` for the end of a mail.
    """

    verb: str
    argument: str = ""
    """What follows the verb; of ``MAIL`` and ``RCPT`` the address alone, of ``PASSWORD`` the user's name."""
    secured: bool = False
    session: int = 0


class ReceivedMail(msgspec.Struct, frozen=True):
    """A mail that the server took, with its envelope."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    user: str = ""
    session: int = 0


Decide = Callable[[MailCommand], MailReaction | None]
"""What the server does instead of the right thing; ``None`` is the right thing."""


class _EndedError(Exception):
    """The conversation is over."""


class MailServer:
    """An SMTP server on 127.0.0.1 that takes mail of ``user`` and remembers commands and mails.

    ``implicit`` speaks TLS from the first byte; what it offers and takes can be changed while it runs.
    ``keep`` gets every mail that was taken; without it they stand in ``mails``.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        user: str,
        password: str,
        decide: Decide = lambda _: None,
        keep: Callable[[ReceivedMail], None] | None = None,
        implicit: bool = False,
    ) -> None:
        self.commands: deque[MailCommand] = deque(maxlen=MOST_COMMANDS)
        self.mails: list[ReceivedMail] = []
        self.offers_starttls = True
        self.offers_utf8 = True
        self.takes_clear_text = False
        """Whether it takes passwords and mails without encryption, as no server should."""
        self.decide = decide
        self.port = 0
        self._tls = tls
        self._user, self._password = user, password
        self._keep = keep or self.mails.append
        self._implicit = implicit
        self._server: asyncio.Server | None = None
        self._closed = False
        self._sessions = 0
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def verbs(self) -> list[str]:
        """The verbs of all commands so far."""
        return [command.verb for command in self.commands]

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    async def start(self, port: int = 0) -> None:
        """Listen on a port of 127.0.0.1, on any that is free for 0."""
        tls = self._tls if self._implicit else None
        self._server = await asyncio.start_server(self._accept, HOST, port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every conversation, and listen no more."""
        self._closed = True
        if self._server is not None:
            self._server.close()
            self.cut_all()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._server.wait_closed()

    def cut_all(self) -> None:
        """Cut every connection, as a restart of a server does."""
        for task, writer in self._open.items():
            writer.transport.abort()
            task.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.close()
            return
        self._sessions += 1
        session = MailSession(number=self._sessions, secured=self._implicit)
        task = asyncio.ensure_future(_Conversation(self, session, reader, writer).hold())
        self._open[task] = writer

        def end(done: asyncio.Task[None]) -> None:
            self._open.pop(done).close()

        task.add_done_callback(end)


class _Conversation:
    """One connection, command by command."""

    def __init__(
        self, server: MailServer, session: MailSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._session = session
        self._reader = reader
        self._writer = writer

    async def hold(self) -> None:
        """Talk until either side ends it."""
        try:
            await self._say(self._reaction("CONNECT") or MailReply(220, "simulated ESMTP"))
            while True:
                await self._step()
        except (_EndedError, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        except (ValueError, asyncio.LimitOverrunError):
            # A line longer than any server reads.
            await self._try_saying(MailReply(500, "5.5.2 line too long"))

    async def _step(self) -> None:
        line = (await self._line()).decode("utf-8", "replace")
        verb, _, argument = line.strip().partition(" ")
        verb = verb.upper()
        if verb in {"MAIL", "RCPT"}:
            await self._take_address(verb, argument)
            return
        reaction = self._reaction(verb, argument)
        act = getattr(self, f"_do_{verb.lower()}", None) if verb.isalpha() else None
        if reaction is not None:
            await self._say(reaction)
        elif act is None:
            await self._say(MailReply(502, "5.5.1 unknown command"))
        else:
            await act(argument)

    @property
    def _is_private(self) -> bool:
        return self._session.secured or self._server.takes_clear_text

    def _reaction(self, verb: str, argument: str = "") -> MailReaction | None:
        command = MailCommand(verb, argument, self._session.secured, self._session.number)
        self._server.commands.append(command)
        return self._server.decide(command)

    async def _line(self) -> bytes:
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise _EndedError
        return line

    async def _say(self, reaction: MailReaction) -> None:
        if isinstance(reaction, Cut):
            # Without the farewell of TLS, as a machine that fails has none.
            self._writer.transport.abort()
            raise _EndedError
        if isinstance(reaction, Hang):
            # Whatever comes is read, and nothing is answered, until the client goes.
            while await self._reader.read(65536):
                pass
            raise _EndedError
        lines = reaction.text.split("\n")
        for position, line in enumerate(lines):
            mark = " " if position == len(lines) - 1 else "-"
            self._writer.write(f"{reaction.code}{mark}{line}\r\n".encode())
        await self._writer.drain()
        if reaction.code == 421:  # noqa: PLR2004 - RFC 5321: the server closes the connection
            raise _EndedError

    async def _try_saying(self, reply: MailReply) -> None:
        try:
            await self._say(reply)
        except (_EndedError, ConnectionError, ssl.SSLError):
            return

    async def _do_ehlo(self, _: str) -> None:
        self._reset()
        offered = ["simulated", "8BITMIME", f"SIZE {LARGEST}"]
        if self._server.offers_utf8:
            offered.append("SMTPUTF8")
        if self._is_private:
            offered.append("AUTH PLAIN LOGIN")
        if not self._session.secured and self._server.offers_starttls:
            offered.append("STARTTLS")
        await self._say(MailReply(250, "\n".join(offered)))

    async def _do_helo(self, _: str) -> None:
        self._reset()
        await self._say(MailReply(250, "simulated"))

    async def _do_noop(self, _: str) -> None:
        await self._say(MailReply(250, "2.0.0 OK"))

    async def _do_rset(self, _: str) -> None:
        self._reset()
        await self._say(MailReply(250, "2.0.0 flushed"))

    async def _do_quit(self, _: str) -> None:
        await self._say(MailReply(221, "2.0.0 bye"))
        raise _EndedError

    async def _do_starttls(self, _: str) -> None:
        if self._session.secured or not self._server.offers_starttls:
            await self._say(MailReply(503, "5.5.1 not now"))
            return
        await self._say(MailReply(220, "2.0.0 go ahead"))
        await self._writer.start_tls(self._server._tls)  # noqa: SLF001 - one class in two halves
        # Nothing that was known before counts any more.
        self._session = MailSession(number=self._session.number, secured=True)

    async def _do_auth(self, argument: str) -> None:
        if not self._is_private:
            await self._say(MailReply(530, "5.7.0 Must issue a STARTTLS command first"))
            return
        mechanism, _, first = argument.partition(" ")
        try:
            if mechanism.upper() == "PLAIN":
                _, name, password = ((first and _decoded(first)) or await self._asked("")).split("\0")
            elif mechanism.upper() == "LOGIN":
                name = (first and _decoded(first)) or await self._asked("Username:")
                password = await self._asked("Password:")
            else:
                await self._say(MailReply(504, "5.5.4 unknown mechanism"))
                return
        except ValueError:
            await self._say(MailReply(501, "5.5.2 cannot be decoded"))
            return
        right = (name, password) == (self._server._user, self._server._password)  # noqa: SLF001 - as above
        reaction = self._reaction("PASSWORD", name)
        if reaction is None and right:
            self._session.user = name
        given = (
            MailReply(235, "2.7.0 Accepted") if right else MailReply(535, "5.7.8 Username and Password not accepted")
        )
        await self._say(reaction or given)

    async def _asked(self, question: str) -> str:
        await self._say(MailReply(334, base64.b64encode(question.encode()).decode()))
        return _decoded((await self._line()).decode("ascii", "replace").strip())

    async def _take_address(self, verb: str, argument: str) -> None:
        found = _PATH.fullmatch(argument.strip())
        address, options = found.groups() if found else ("", "")
        session = self._session
        if verb == "MAIL":
            self._reset()
            session.utf8 = "SMTPUTF8" in options.upper().split() and self._server.offers_utf8
        wrong = self._wrong(verb, address, understood=found is not None)
        reaction = self._reaction(verb, address) or wrong
        if reaction is None and verb == "MAIL":
            session.sender = address
        elif reaction is None:
            session.recipients.append(address)
        await self._say(reaction or MailReply(250, "2.1.0 OK"))

    def _wrong(self, verb: str, address: str, *, understood: bool) -> MailReply | None:
        session = self._session
        if not self._is_private:
            return MailReply(530, "5.7.0 Must issue a STARTTLS command first")
        if not session.user:
            return MailReply(530, "5.7.0 Authentication Required")
        if verb == "RCPT" and not session.sender:
            return MailReply(503, "5.5.1 MAIL first")
        if not understood or "@" not in address:
            return MailReply(501, "5.1.3 no address")
        if not address.isascii() and not session.utf8:
            return MailReply(553, "5.6.7 SMTPUTF8 is needed")
        return None

    async def _do_data(self, _: str) -> None:
        session = self._session
        if not session.recipients:
            await self._say(MailReply(503, "5.5.1 RCPT first"))
            return
        await self._say(MailReply(354, "Go ahead"))
        content = await self._content()
        mail = ReceivedMail(session.sender, tuple(session.recipients), content[:LARGEST], session.user, session.number)
        self._reset()
        reaction = self._reaction("CONTENT")
        if reaction is None and len(content) > LARGEST:
            reaction = MailReply(552, "5.3.4 too big")
        if reaction is None:
            self._server._keep(mail)  # noqa: SLF001 - as above
        await self._say(reaction or MailReply(250, "2.0.0 OK"))

    async def _content(self) -> bytes:
        lines = bytearray()
        while (line := await self._line()) != b".\r\n":
            if len(lines) <= LARGEST:
                lines += line.removeprefix(b".") if line.startswith(b"..") else line
        return bytes(lines)

    def _reset(self) -> None:
        self._session.sender, self._session.recipients, self._session.utf8 = "", [], False


def unused_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        found: int = probe.getsockname()[1]
        return found


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("not base64") from error
