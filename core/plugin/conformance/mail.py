"""The contract of notifiers that hand mails to a mail server."""

import asyncio
import email
import email.policy
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from pathlib import Path

import msgspec

from core.plugin.certificates import CertificateAuthority
from core.plugin.conformance.checking import CANARY, Contract, expect, run
from core.plugin.conformance.hiding import captured_logs, expect_hidden, told_by
from core.plugin.conformance.notifications import CALL_SECONDS, NotifierSubject
from core.plugin.errors import (
    LimitReachedError,
    MisconfiguredError,
    ProviderError,
    RefusedError,
    UnavailableError,
    UncertainError,
)
from core.plugin.mail_server import MailReaction, MailReply, MailServer, unused_port
from core.plugin.notifications import Notification
from core.plugin.scripted_server import Cut, Hang

HOST = "localhost"
USER, PASSWORD = "user-of-the-contract@example.com", "password-of-the-contract"
KEY = "event:person:channel"
_BEFORE = ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA")
"""The steps whose loss leaves no doubt; the text of a mail follows the answer to the last."""
_HANGING = {"CONNECT", "STARTTLS", "DATA"}
"""Those where the server is left hanging too: in the clear, within the handshake, and when the mail is due."""


class MailPlace(msgspec.Struct, frozen=True):
    """A mail server to make a notifier for: STARTTLS at ``host`` and ``port``, with a certificate of ``ca_file``."""

    port: int
    ca_file: str
    host: str = HOST
    username: str = USER
    password: str = PASSWORD


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is odd about a server."""

    reactions: Mapping[str, MailReaction] = {}
    """By verb, instead of the right thing."""
    offers_starttls: bool = True
    is_known: bool = True
    """Whether the notifier is told of the authority of its certificate."""
    name: str = HOST
    """What its certificate is for."""
    listens: bool = True
    cuts_between: bool = False
    """Whether it cuts all connections after each mail."""


_WELL = _Case()


class _Came(msgspec.Struct):
    """What came of sending some notifications to one server."""

    server: MailServer
    errors: list[Exception | None]
    handed_over: list[tuple[str, ...]]
    """The commands so far, each time that core was told of handing over."""


class _ForbiddenError(Exception):
    """What core raises when somebody else has taken the delivery over."""


class MailNotifierContract(Contract):
    """What every notifier does that speaks SMTP; inherit it in a class whose name starts with ``Test``.

    ``subject`` is required.
    """

    def subject(self, place: MailPlace) -> NotifierSubject:
        """Make a notifier for the mail server at ``place``; a call that is not answered ends within some seconds."""
        raise NotImplementedError

    def test_name_and_channel(self) -> None:
        """The notifier has a name, and its channel is e-mail."""
        notifier = self.subject(MailPlace(unused_port(), "")).notifier
        expect(notifier.name.isidentifier() and notifier.name.islower(), "name is no name of a plugin")
        expect(notifier.channel == "email", f"the channel is {notifier.channel!r}")

    def test_mail_is_taken(self) -> None:
        """A notification becomes one mail with subject, text and page."""
        came = self._send(_WELL)
        expect(came.errors == [None], f"send raises {came.errors[0]!r}")
        expect(len(came.server.mails) == 1, f"one notification made {len(came.server.mails)} mails")
        mail, parsed = came.server.mails[0], _parsed(came.server.mails[0].content)
        expect(mail.recipients == (self._recipient,), f"the recipients are {mail.recipients}")
        expect(parsed["Subject"] == "Words of the subject", "the mail lost its subject")
        for kind, words in (("plain", "words of the text"), ("html", "words of the page")):
            part = parsed.get_body((kind,))
            found = part.get_content() if isinstance(part, EmailMessage) else ""
            expect(words in found, f"the mail has no {kind} part with its words")

    def test_handing_over_is_announced(self) -> None:
        """Core hears once that the mail goes out: when the server waits for its text, and before any of it is sent."""
        handed_over = self._send(_WELL).handed_over
        expect(len(handed_over) == 1, f"send awaits handing_over {len(handed_over)} times")
        expect("DATA" in handed_over[0], "handing_over is awaited before the server asked for the text of the mail")
        expect("CONTENT" not in handed_over[0], "handing_over is awaited after the mail went out")

    def test_what_core_forbids_is_not_sent(self) -> None:
        """Where core raises as it hears of the mail, that error comes out, and nothing of the mail went out or will."""
        came = self._send(_WELL, {"key": "one"}, {"key": "two"}, forbidden=True)
        told = [f"{error!r}" for error in came.errors if not isinstance(error, _ForbiddenError)]
        expect(not told, f"expected what core raised, got {', '.join(told)}")
        expect("CONTENT" not in came.server.verbs, "a mail goes out that core forbade")
        expect(came.server.verbs.count("CONNECT") == len(came.errors), "a connection is used again that awaits a mail")

    def test_key_becomes_the_message_id(self) -> None:
        """A mail that is repeated can be recognised: its Message-ID is that of its key."""
        came = self._send(_WELL, {"key": KEY}, {"key": KEY}, {"key": "another"})
        ids = [_parsed(mail.content)["Message-ID"] for mail in came.server.mails]
        expect(len(ids) == 3 and all(ids), "a mail has no Message-ID")  # noqa: PLR2004 - the keys above
        expect(ids[0] == ids[1], "the same key gives another Message-ID")
        expect(ids[1] != ids[2], "another key gives the same Message-ID")

    def test_unreachable_is_unavailable(self) -> None:
        """A server that cannot be reached is tried later."""
        came = self._send(_Case(listens=False))
        expect(isinstance(came.errors[0], UnavailableError), f"expected UnavailableError, got {came.errors[0]!r}")

    def test_failures_before_the_mail_are_unavailable(self) -> None:
        """What breaks before the mail is begun is tried later, and core is not told of handing over."""
        for verb in _BEFORE:
            reactions: list[MailReaction] = [Cut(), MailReply(421, f"4.3.0 {CANARY}")]
            for reaction in [*reactions, Hang()] if verb in _HANGING else reactions:
                came = self._send(_Case(reactions={verb: reaction}))
                expect(
                    isinstance(came.errors[0], UnavailableError),
                    f"expected UnavailableError after {verb} and {reaction!r}, got {came.errors[0]!r}",
                )
                expect(came.handed_over == [], f"handing_over is awaited although {verb} failed")

    def test_lost_answer_is_uncertain(self) -> None:
        """A mail whose answer is lost may have been taken, and is not sent again at once."""
        for reaction in (Cut(), Hang()):
            came = self._send(_Case(reactions={"CONTENT": reaction}))
            expect(
                isinstance(came.errors[0], UncertainError),
                f"expected UncertainError after {reaction!r}, got {came.errors[0]!r}",
            )
            expect(came.server.verbs.count("CONTENT") == 1, "the mail is sent twice")

    def test_answers_to_the_mail_are_definite(self) -> None:
        """What the server answers to a mail counts: later, or never."""
        for code, kind in ((451, UnavailableError), (554, RefusedError)):
            came = self._send(_Case(reactions={"CONTENT": MailReply(code, f"{code // 100}.3.0 {CANARY}")}))
            expect(isinstance(came.errors[0], kind), f"expected {kind.__name__}, got {came.errors[0]!r}")

    def test_refused_recipient(self) -> None:
        """A person who has no mailbox is not tried again."""
        came = self._send(_Case(reactions={"RCPT": MailReply(550, f"5.1.1 {CANARY}")}))
        expect(isinstance(came.errors[0], RefusedError), f"expected RefusedError, got {came.errors[0]!r}")

    def test_full_mailbox_is_one_persons_alone(self) -> None:
        """A person who can take no mail now is tried later, and counts neither against the service nor its account."""
        error = self._send(_Case(reactions={"RCPT": MailReply(452, f"4.2.2 {CANARY}")})).errors[0]
        alone = isinstance(error, UnavailableError) and not isinstance(error, LimitReachedError)
        expect(alone, f"expected UnavailableError, got {error!r}")
        expect(getattr(error, "of_recipient", False), "the error does not say that it is of_recipient")

    def test_wrong_credentials_are_misconfigured(self) -> None:
        """A wrong password, and a sender that the account may not use, are for an administrator to mend."""
        for verb, code in (("PASSWORD", 535), ("MAIL", 553)):
            came = self._send(_Case(reactions={verb: MailReply(code, f"5.7.1 {CANARY}")}))
            expect(
                isinstance(came.errors[0], MisconfiguredError), f"expected MisconfiguredError, got {came.errors[0]!r}"
            )

    def test_daily_limit_waits(self) -> None:
        """An account that sent its share of the day waits for the next one."""
        error = self._send(
            _Case(reactions={"CONTENT": MailReply(550, "5.4.5 Daily user sending limit exceeded.")})
        ).errors[0]
        expect(isinstance(error, LimitReachedError), f"expected LimitReachedError, got {error!r}")
        after = error.retry_after if isinstance(error, LimitReachedError) else None
        expect(after is not None and after > 0, f"retry_after is {after!r}")

    def test_nothing_is_sent_in_clear_text(self) -> None:
        """Without encryption, neither the password nor a mail goes out."""
        came = self._send(_Case(offers_starttls=False))
        self._expect_untold(came, "a server that offers no STARTTLS")

    def test_certificates_are_verified(self) -> None:
        """A certificate of an unknown authority, or for another name, ends the conversation."""
        self._expect_untold(self._send(_Case(is_known=False)), "an unknown authority")
        self._expect_untold(self._send(_Case(name="mail.example.org")), "a certificate for another name")

    def test_no_text_adds_a_header(self) -> None:
        """Line ends in a name, a subject or a key stay within their header; in an address they are refused."""
        hostile = "Ana\r\nBcc: eve@example.com\r\n\r\nbody"
        came = self._send(_WELL, {"key": hostile, "name": hostile, "subject": hostile})
        expect(came.errors == [None], f"send raises {came.errors[0]!r}")
        mail = came.server.mails[0]
        expect("Bcc" not in _parsed(mail.content), "a line end added a header")
        expect(mail.recipients == (self._recipient,), "a line end added a recipient")
        for address in ("ana@example.com\r\nRCPT TO:<eve@example.com>", "no address", ""):
            came = self._send(_WELL, {"recipient": address})
            expect(isinstance(came.errors[0], RefusedError), f"expected RefusedError, got {came.errors[0]!r}")
            expect("DATA" not in came.server.verbs, "a mail goes out to what is no address")

    def test_lost_connections_are_replaced(self) -> None:
        """A connection that the server closed between two mails costs no mail."""
        came = self._send(_Case(cuts_between=True), {"key": "one"}, {"key": "two"})
        expect(came.errors == [None, None], f"send raises {came.errors}")
        expect(len(came.server.mails) == len(came.errors), f"two notifications made {len(came.server.mails)} mails")

    def test_check_fails_where_the_server_does(self) -> None:
        """An administrator who asks is told what is wrong, and that all is well where it is."""
        expect(self._checked({}) is None, "check raises although all is well")
        for verb, reaction in (("PASSWORD", MailReply(535, "5.7.8 no")), ("EHLO", Cut()), ("CONNECT", Hang())):
            error = self._checked({verb: reaction})
            expect(isinstance(error, ProviderError), f"check raises {error!r} after {reaction!r} to {verb}")

    def test_secrets_are_not_shown(self) -> None:
        """No log, value or error shows the password, nor the words of a reply."""
        secrets = (*self.subject(MailPlace(unused_port(), "")).secrets, PASSWORD)
        shown = repr(self.subject(MailPlace(unused_port(), "")).notifier)
        failing: Sequence[tuple[str, MailReaction]] = (
            ("PASSWORD", MailReply(535, f"5.7.8 {CANARY}")),
            ("RCPT", MailReply(550, f"5.1.1 {CANARY}")),
            ("CONTENT", MailReply(554, f"5.7.1 {CANARY}")),
            ("CONTENT", Cut()),
        )
        for verb, reaction in failing:
            with captured_logs() as logs:
                errors = [self._send(_Case(reactions={verb: reaction})).errors[0], self._checked({verb: reaction})]
            shown += logs.getvalue() + "".join(told_by(error) for error in errors if error is not None)
        expect_hidden(secrets, shown, "a log, a value or an error")
        expect(CANARY not in shown, "an error or a log repeats the words of a reply")

    @property
    def _recipient(self) -> str:
        return self.subject(MailPlace(unused_port(), "")).recipient

    def _expect_untold(self, came: _Came, what: str) -> None:
        expected = isinstance(came.errors[0], MisconfiguredError | UnavailableError)
        expect(expected, f"expected MisconfiguredError or UnavailableError for {what}, got {came.errors[0]!r}")
        told = {"AUTH", "MAIL", "DATA"} & {*came.server.verbs}
        expect(not told, f"{', '.join(sorted(told))} went out in spite of {what}")
        expect(came.handed_over == [], f"handing_over is awaited in spite of {what}")

    def _send(self, case: _Case, *changes: Mapping[str, str], forbidden: bool = False) -> _Came:
        """Send a notification with each of ``changes``, one after the other; without any, a plain one."""

        async def scenario() -> _Came:
            async with _serving(case) as (server, place):
                subject = self.subject(place)
                came = _Came(server, [], [])
                for change in changes or ({},):
                    made = msgspec.structs.replace(_notification(subject.recipient), **change)
                    came.errors.append(await self._error_of(subject, made, came, forbidden=forbidden))
                    if case.cuts_between:
                        server.cut_all()
                await subject.notifier.aclose()
                return came

        return run(scenario())

    async def _error_of(
        self, subject: NotifierSubject, notification: Notification, came: _Came, *, forbidden: bool
    ) -> Exception | None:
        async def hand_over() -> None:
            came.handed_over.append(tuple(came.server.verbs))
            if forbidden:
                raise _ForbiddenError

        try:
            async with asyncio.timeout(CALL_SECONDS):
                await subject.notifier.send(notification, hand_over)
        except Exception as error:  # noqa: BLE001 - the check says which it may be
            return error
        return None

    def _checked(self, reactions: Mapping[str, MailReaction]) -> Exception | None:
        async def scenario() -> Exception | None:
            async with _serving(_Case(reactions=reactions)) as (_, place):
                notifier = self.subject(place).notifier
                try:
                    async with asyncio.timeout(CALL_SECONDS):
                        await notifier.check()
                except Exception as error:  # noqa: BLE001 - the check says which it may be
                    return error
                finally:
                    with suppress(Exception):
                        await notifier.aclose()
                return None

        return run(scenario())


@asynccontextmanager
async def _serving(case: _Case) -> AsyncIterator[tuple[MailServer, MailPlace]]:
    authority = CertificateAuthority()
    known = authority if case.is_known else CertificateAuthority()
    server = MailServer(
        authority.server_context(case.name),
        user=USER,
        password=PASSWORD,
        decide=lambda command: case.reactions.get(command.verb),
    )
    server.offers_starttls = case.offers_starttls
    # One that would take all of it in clear text is where a notifier shows what it does.
    server.takes_clear_text = not case.offers_starttls
    with tempfile.TemporaryDirectory() as folder:
        ca_file = Path(folder) / "ca.pem"
        ca_file.write_bytes(known.pem)
        async with server:
            yield server, MailPlace(server.port if case.listens else unused_port(), str(ca_file))


def _notification(recipient: str) -> Notification:
    return Notification(
        key=KEY,
        kind="campaign_completed",
        user_id=1,
        recipient=recipient,
        name="Ana",
        subject="Words of the subject",
        text="words of the text",
        html="<p>words of the page</p>",
    )


def _parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)
