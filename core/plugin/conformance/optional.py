"""What messaging providers do in the groups that are optional, where they have them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

import msgspec

from core.plugin.conformance.checking import CANARY, expect, failure, run
from core.plugin.conformance.subjects import MessagingSubject, Subject
from core.plugin.errors import ProviderError
from core.plugin.optional import (
    ContactListing,
    EventPolling,
    ListedContact,
    NumberCheck,
    NumberChecking,
    Polled,
    SenderReport,
    SenderState,
    SignIn,
)
from core.plugin.scripted_server import Answer, Cut, Hang, Routes, ScriptedServer

WAIT_SECONDS = 0.2
"""How long the checks let a poll wait for events."""


class SignInAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What the service answers about the subject's number, by target; what is not named is answered 404."""

    connected: Routes
    """It is signed in and running; stopping, signing out and removing it succeed."""
    odd_state: Routes
    """It is in a state whose name the plugin does not know."""
    absent: Routes
    """The server does not know the number, whatever is asked of it."""


class NumberCheckAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What the service answers when it is asked for two numbers, E.164 digits."""

    routes: Routes
    existing: str
    missing: str


class ContactAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What the service answers when its contacts and groups are listed, and the addresses that must come of it."""

    routes: Routes
    addresses: tuple[str, ...]


class PollAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """What the service answers when it is asked for events: some the plugin knows, then one that it does not."""

    routes: Routes
    known: int
    """How many events the plugin must understand."""
    unreadable: Answer = Answer(200, b"<html>")


class SignInChecks(MessagingSubject):
    """Checks of ``SignIn``."""

    sign_in: ClassVar[SignInAnswers | None] = None
    """Answers about a number that a person connects."""

    def test_connected_number_is_connected(self) -> None:
        """A number that is signed in and running can send."""
        report = self._state("connected")
        expect(report.state is SenderState.CONNECTED, f"expected connected, got {report.state}")

    def test_odd_state_needs_a_person(self) -> None:
        """A state that the plugin does not know is never taken for one that works."""
        report = self._state("odd_state")
        expect(report.state is SenderState.NEEDS_PERSON, f"expected needs_person, got {report.state}")

    def test_absent_number_is_stopped(self) -> None:
        """A number that its server does not know is stopped, not an error."""
        report = self._state("absent")
        expect(report.state is SenderState.STOPPED, f"expected stopped, got {report.state}")

    def test_failed_state_is_an_error(self) -> None:
        """A server that does not say how a number is does not make it stopped."""
        self._needs(SignIn, self.sign_in, "sign_in")
        for reaction in (Answer(500, failure(500)), Answer(401, failure(401)), Answer(200, b"<html>"), Cut()):
            error = self._error_of(_state, reaction)
            expect(error is not None, "state says how a number is which its server did not tell")
            expect(CANARY not in str(error), "an error repeats the body of a response")

    def test_stop_is_repeatable(self) -> None:
        """A number is stopped as often as asked, also where its server has forgotten it."""
        self._repeat("stop")

    def test_sign_out_is_repeatable(self) -> None:
        """A number is signed out as often as asked, also where its server has forgotten it."""
        self._repeat("sign_out")

    def test_remove_is_repeatable(self) -> None:
        """A number is removed as often as asked, also where its server has forgotten it."""
        self._repeat("remove")

    def _state(self, name: str) -> SenderReport:
        self._needs(SignIn, self.sign_in, "sign_in")
        return self._answer_of(_state, getattr(self.sign_in, name))

    def _repeat(self, name: str) -> None:
        self._needs(SignIn, self.sign_in, "sign_in")

        async def twice(subject: Subject) -> None:
            for _ in range(2):
                await getattr(subject.provider, name)(subject.sender)

        for state in ("connected", "absent"):
            try:
                self._answer_of(twice, getattr(self.sign_in, state))
            except ProviderError as error:
                raise AssertionError(f"{name} of a number that is {state} raises {error!r}") from error


class NumberCheckingChecks(MessagingSubject):
    """Checks of ``NumberChecking``."""

    number_checks: ClassVar[NumberCheckAnswers | None] = None
    """Answers about two numbers, of which one has an account."""

    def test_numbers_are_told_apart(self) -> None:
        """Each number that was asked for is answered: with an address, or that it does not exist."""
        answers = self._checked()
        numbers = (answers.existing, answers.missing)
        found = self._answer_of(_checking(numbers), answers.routes)
        expect({*found} == {*numbers}, f"asked for {numbers}, answered {(*found,)}")
        expect(found[answers.existing].exists, "a number with an account was said to have none")
        expect(bool(found[answers.existing].address), "a number with an account was given no address")
        expect(not found[answers.missing].exists, "a number without an account was said to have one")

    def test_failed_check_says_nothing_of_numbers(self) -> None:
        """A server that did not answer does not make anybody a person without an account."""
        answers = self._checked()
        for reaction in (Answer(500, failure(500)), Answer(401, failure(401)), Answer(200, b"<html>"), Cut()):
            error = self._error_of(_checking((answers.existing,)), reaction)
            expect(error is not None, "check_numbers knows what its server did not tell")
            expect(CANARY not in str(error), "an error repeats the body of a response")

    def _checked(self) -> NumberCheckAnswers:
        self._needs(NumberChecking, self.number_checks, "number_checks")
        assert self.number_checks is not None  # noqa: S101 - needs said so
        return self.number_checks


class ContactListingChecks(MessagingSubject):
    """Checks of ``ContactListing``."""

    contacts: ClassVar[ContactAnswers | None] = None
    """Answers with the contacts of a number."""

    def test_contacts_are_listed_once(self) -> None:
        """Everybody is listed, once; a phone is digits, and no group has one."""
        self._needs(ContactListing, self.contacts, "contacts")
        assert self.contacts is not None  # noqa: S101 - needs said so
        listed = self._answer_of(_contacts, self.contacts.routes)
        addresses = [contact.address for contact in listed]
        expect(sorted(addresses) == sorted(self.contacts.addresses), f"expected each address once, got {addresses}")
        for contact in listed:
            is_phone = contact.phone.isascii() and contact.phone.isdigit()
            expect(not contact.phone or (is_phone and not contact.group), f"{contact!r} has no such phone")

    def test_failed_listing_is_an_error(self) -> None:
        """A server that did not answer has no empty address book."""
        self._needs(ContactListing, self.contacts, "contacts")
        for reaction in (Answer(500, failure(500)), Answer(401, failure(401)), Answer(200, b"<html>"), Cut()):
            error = self._error_of(_contacts, reaction)
            expect(error is not None, "list_contacts ends as if all were listed")
            expect(CANARY not in str(error), "an error repeats the body of a response")


class EventPollingChecks(MessagingSubject):
    """Checks of ``EventPolling``."""

    polls: ClassVar[PollAnswers | None] = None
    """Answers with events."""

    def test_same_cursor_gives_the_same_events(self) -> None:
        """Events are given again until the next cursor says that they are stored."""
        answers = self._polls()
        first, again = (self._answer_of(_poll, answers.routes) for _ in range(2))
        twice = self._answer_of(_poll_twice, answers.routes)
        keys = [[event.dedupe_key for event in polled.events] for polled in (first, again, *twice)]
        expect(keys[0] == keys[1], "another process that polls from the same cursor gets other events")
        expect(keys[2] == keys[3], "the second poll from the same cursor gives other events")
        expect(len(set(keys[0])) == len(keys[0]) and all(keys[0]), "dedupe keys are empty or repeat")
        expect(bool(first.cursor) and first.cursor == again.cursor, "the same events must lead to the same cursor")

    def test_polled_events_are_understood(self) -> None:
        """What the plugin knows becomes events, what it does not know is counted."""
        answers = self._polls()
        kinds = [event.__struct_config__.tag for event in self._answer_of(_poll, answers.routes).events]
        known = [kind for kind in kinds if kind != "unknown"]
        expect(len(known) == answers.known, f"expected {answers.known} known events, got {kinds}")
        expect(len(kinds) > len(known), f"the event that the plugin does not know is missing among {kinds}")

    def test_cursor_is_handed_on(self) -> None:
        """The service is asked for what comes after the cursor."""
        answers = self._polls()

        async def scenario() -> list[tuple[str, bytes]]:
            async with ScriptedServer(Answer(404), answers.routes) as server:
                subject = self.subject(server.url)
                try:
                    polled = await _poll(subject)
                    first = len(server.requests)
                    await _poll(subject, polled.cursor)
                finally:
                    await subject.provider.aclose()
                return [(one.target, one.body) for one in (server.requests[0], server.requests[first])]

        first, next_one = run(scenario())
        expect(first != next_one, "the poll after a cursor asks for the same as the first")

    def test_failed_poll_is_an_error(self) -> None:
        """A server that did not answer is asked again from the same cursor."""
        answers = self._polls()
        for reaction in (answers.unreadable, Answer(500, failure(500)), Answer(401, failure(401)), Cut(), Hang()):
            error = self._error_of(_poll, reaction)
            expect(error is not None, "poll says that nothing happened where its server told nothing")
            expect(CANARY not in str(error), "an error repeats the body of a response")

    def _polls(self) -> PollAnswers:
        self._needs(EventPolling, self.polls, "polls")
        assert self.polls is not None  # noqa: S101 - needs said so
        return self.polls


async def _state(subject: Subject) -> SenderReport:
    provider = subject.provider
    assert isinstance(provider, SignIn)  # noqa: S101 - every caller asked before
    return await provider.state(subject.sender)


def _checking(numbers: Sequence[str]) -> Callable[[Subject], Awaitable[Mapping[str, NumberCheck]]]:
    async def check(subject: Subject) -> Mapping[str, NumberCheck]:
        provider = subject.provider
        assert isinstance(provider, NumberChecking)  # noqa: S101 - every caller asked before
        return await provider.check_numbers(subject.sender, numbers)

    return check


async def _contacts(subject: Subject) -> list[ListedContact]:
    provider = subject.provider
    assert isinstance(provider, ContactListing)  # noqa: S101 - every caller asked before
    return [contact async for contact in provider.list_contacts(subject.sender)]


async def _poll(subject: Subject, cursor: str = "") -> Polled:
    provider = subject.provider
    assert isinstance(provider, EventPolling)  # noqa: S101 - every caller asked before
    return await provider.poll(subject.sender, cursor, wait_seconds=WAIT_SECONDS)


async def _poll_twice(subject: Subject) -> tuple[Polled, Polled]:
    first = await _poll(subject)
    await asyncio.sleep(0)
    return first, await _poll(subject)
