"""What every messaging provider does when a server is probed, and whether it can do what it says."""

from collections.abc import Callable, Mapping

from core.plugin.conformance.checking import CANARY, NOWHERE, expect, failure, not_applicable, run
from core.plugin.conformance.subjects import MessagingSubject, Subject
from core.plugin.errors import MisconfiguredError, UnavailableError
from core.plugin.messaging import Capabilities, MessageKind
from core.plugin.optional import (
    ContactListing,
    EventPolling,
    NumberChecking,
    ReadMarks,
    Screenshots,
    SignIn,
    Typing,
)
from core.plugin.scripted_server import Answer, Cut, unreachable_url

_CLAIMS: Mapping[type, Callable[[Capabilities], bool]] = {
    SignIn: lambda able: bool({*able.sign_in} - {"token"}),
    Typing: lambda able: able.typing,
    ReadMarks: lambda able: able.seen,
    NumberChecking: lambda able: able.number_check != "none",
    ContactListing: lambda able: able.contacts or able.groups,
    Screenshots: lambda able: able.screenshots,
    EventPolling: lambda able: able.inbound == "poll",
}
"""Each optional protocol, and whether the capabilities promise what it does."""


async def _probe(subject: Subject) -> Capabilities:
    return await subject.provider.capabilities(subject.sender.server)


async def _check(subject: Subject) -> str:
    return await subject.provider.check(subject.sender.server)


class ProbingChecks(MessagingSubject):
    """Checks of ``capabilities`` and ``check``."""

    def test_capabilities_of_an_unreachable_server(self) -> None:
        """The probe says that nothing answers."""
        error = run(self._error_at(_probe, unreachable_url()))
        expect(isinstance(error, UnavailableError), f"expected UnavailableError, got {error!r}")

    def test_capabilities_with_wrong_credentials(self) -> None:
        """The probe says that the credentials are wrong."""
        error = self._error_of(_probe, Answer(401, failure(401)))
        expect(isinstance(error, MisconfiguredError), f"expected MisconfiguredError, got {error!r}")

    def test_capabilities_of_another_service(self) -> None:
        """The probe recognises an address that is something else."""
        for answer in (Answer(200, b"<html>"), Answer(200, b"[]"), Answer(404, b""), Answer(500, failure(500))):
            error = self._error_of(_probe, answer)
            expect(error is not None, f"a server that answers {answer.status} {answer.body[:20]!r} is no such service")
            expect(CANARY not in str(error), "an error repeats the body of a response")

    def test_check_fails_as_the_probe_does(self) -> None:
        """An administrator who asks for the server's state is told what is wrong."""
        for reaction in (Answer(401, failure(401)), Answer(500, failure(500)), Answer(200, b"<html>"), Cut()):
            error = self._error_of(_check, reaction)
            expect(error is not None, "check says that a server answers which does not")
            expect(CANARY not in str(error), "an error repeats the body of a response")

    def test_check_is_one_line(self) -> None:
        """What answered is told in one line."""
        self._needs_probe()
        line = self._answer_of(_check, self.probe)
        expect(bool(line.strip()) and line.isprintable(), f"expected one line, got {line!r}")

    def test_capabilities_are_kept(self) -> None:
        """For all that the capabilities promise, the provider has the methods."""
        claims = [self.subject(NOWHERE).sender.capabilities]
        if self.probe:
            claims.append(self._answer_of(_probe, self.probe))
        provider = self._at_rest().provider
        for able in claims:
            missing = [kind.__name__ for kind, says in _CLAIMS.items() if says(able) and not isinstance(provider, kind)]
            expect(not missing, f"the capabilities promise what the provider has not: {', '.join(missing)}")
            expect(MessageKind.TEXT not in able.media, "media names kinds beside text")

    def test_probe_gives_the_capabilities(self) -> None:
        """A server of this service is recognised."""
        self._needs_probe()
        found = self._answer_of(_probe, self.probe)
        expect(bool(found.version or found.engine), "the capabilities say neither a version nor an engine, for people")

    def _needs_probe(self) -> None:
        if not self.probe:
            not_applicable("the contract class gives no probe")
