"""What a contract of messaging providers examines, and how it calls it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ClassVar, TypeVar

import msgspec

from core.plugin.conformance.checking import NOWHERE, SPARE_SECONDS, Contract, expect, failure, not_applicable, run
from core.plugin.errors import ProviderError
from core.plugin.messaging import MessagingProvider, Outcome, OutgoingMessage, Prepared, Sender
from core.plugin.scripted_server import Answer, Reaction, ReceivedRequest, Routes, ScriptedServer

_T = TypeVar("_T")

CALL_SECONDS = 30.0
"""How long a call may take that has no limit of its own in the contract."""


class Subject(msgspec.Struct, frozen=True):
    """What the contract examines: a provider and a message it can send from ``sender``.

    ``send_timeout`` of the message's kind is at most 1 s here; ``sender.server.url`` is the URL that was given.
    """

    provider: MessagingProvider
    sender: Sender
    message: OutgoingMessage


class MessagingSubject(Contract):
    """What a contract class gives of its provider and its service, and the calls of the checks."""

    accepted: ClassVar[Answer]
    """The service's answer to a message it takes."""
    accepted_file: ClassVar[Answer | None] = None
    """The service's answer to a file it takes, where it differs from ``accepted``."""
    rejected: ClassVar[Answer | None] = None
    """The service's answer that it will never take this message."""
    too_many: ClassVar[Answer] = Answer(429, failure(429), {"Retry-After": "7"})
    """The service's answer to too many requests; it asks to wait 7 seconds."""
    found: ClassVar[Routes] = {}
    """What a server answers to the look-up of a message that it sent."""
    absent: ClassVar[Routes] = {}
    """What a server answers to the look-up of a message that it certainly does not know."""
    probe: ClassVar[Routes] = {}
    """What a server of this service answers to the probe, by target."""

    def subject(self, url: str) -> Subject:
        """Make a provider and a sender on the server at ``url``."""
        raise NotImplementedError

    def _at_rest(self) -> Subject:
        """Make a subject for calls that use no network."""
        return self.subject(NOWHERE)

    def _is_polled(self) -> bool:
        """Say whether the service is asked for events and delivers none."""
        return self._at_rest().sender.capabilities.inbound == "poll"

    def _send(self, reaction: Reaction) -> Outcome:
        """Send the message to a server that reacts so."""

        async def scenario() -> Outcome:
            async with ScriptedServer(reaction) as server:
                return await self._send_to(server.url)

        return run(scenario())

    async def _send_to(self, url: str) -> Outcome:
        """Send the message to the server at ``url``."""
        subject = self.subject(url)
        try:
            return await send_within(subject, prepare(subject))
        finally:
            await subject.provider.aclose()

    def _requests_of(self, reaction: Reaction) -> list[ReceivedRequest]:
        """Return the requests that one send makes to a server that reacts so, whatever comes of it."""

        async def scenario() -> list[ReceivedRequest]:
            async with ScriptedServer(reaction) as server:
                # What is raised is another check's concern.
                with suppress(Exception):
                    await self._send_to(server.url)
                return server.requests

        return run(scenario())

    def _error_of(self, call: Callable[[Subject], Awaitable[object]], reaction: Reaction) -> ProviderError | None:
        """Return the ``ProviderError`` that ``call`` raises on a server that reacts so."""

        async def scenario() -> ProviderError | None:
            async with ScriptedServer(reaction) as server:
                return await self._error_at(call, server.url)

        return run(scenario())

    async def _error_at(self, call: Callable[[Subject], Awaitable[object]], url: str) -> ProviderError | None:
        """Return the ``ProviderError`` that ``call`` raises for the server at ``url``."""
        subject = self.subject(url)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await call(subject)
        except ProviderError as error:
            return error
        finally:
            await subject.provider.aclose()
        return None

    def _answer_of(self, call: Callable[[Subject], Awaitable[_T]], routes: Routes) -> _T:
        """Return what ``call`` returns on a server that answers as ``routes`` say, and 404 to all else."""

        async def scenario() -> _T:
            async with ScriptedServer(Answer(404, failure(404)), routes) as server:
                subject = self.subject(server.url)
                try:
                    async with asyncio.timeout(CALL_SECONDS):
                        return await call(subject)
                finally:
                    await subject.provider.aclose()

        return run(scenario())

    def _needs(self, group: type, answers: object, name: str) -> None:
        """End a check of an optional group that the provider has not, or of which no answers are given."""
        if not isinstance(self._at_rest().provider, group):
            not_applicable(f"the provider has no {group.__name__}")
        if not answers:
            not_applicable(f"the contract class gives no {name}")


def prepare(subject: Subject) -> Prepared:
    """Prepare the subject's message under a new id."""
    return subject.provider.prepare(subject.message, subject.sender, subject.provider.new_client_id())


async def send_within(subject: Subject, prepared: Prepared) -> Outcome:
    """Send once; a send that takes longer than it promises fails the check."""
    limit = subject.provider.send_timeout(prepared.message.kind)
    sending = asyncio.ensure_future(subject.provider.send(prepared, subject.sender))
    done, _ = await asyncio.wait([sending], timeout=limit + SPARE_SECONDS)
    if not done:
        sending.cancel()
    expect(bool(done), f"send takes longer than the {limit:g} s of send_timeout")
    return sending.result()
