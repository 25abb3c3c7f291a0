"""The contract of notifiers."""

import asyncio
from contextlib import suppress
from typing import ClassVar, get_args

import msgspec

from core.plugin.conformance.checking import CANARY, NOWHERE, Contract, expect, failure, not_applicable, run
from core.plugin.conformance.hiding import captured_logs, expect_hidden, told_by
from core.plugin.errors import MisconfiguredError, ProviderError, RefusedError, UnavailableError, UncertainError
from core.plugin.notifications import Channel, LiveEvent, Notification, Notifier
from core.plugin.scripted_server import (
    Answer,
    Cut,
    Hang,
    Reaction,
    ReceivedRequest,
    Routes,
    ScriptedServer,
    unreachable_url,
)

CALL_SECONDS = 30.0
KEY = "event:person:channel"
_SUBJECT, _TEXT = "Words of the subject", "words of the text"
_EVENT = LiveEvent(
    id="evt_1",
    type="notification.created",
    user_id=1,
    body=msgspec.Raw(
        msgspec.json.encode(
            {
                "id": "evt_1",
                "type": "notification.created",
                "created_at": "2030-01-01T12:00:00Z",
                "data": {"kind": "campaign.completed", "title": _SUBJECT, "text": _TEXT},
            }
        )
    ),
)


class NotifierSubject(msgspec.Struct, frozen=True):
    """What the contract examines: a notifier on a service, and a recipient as its channel writes them.

    A call that is not answered ends within some seconds here. ``secrets`` are the values of the settings' secrets.
    """

    notifier: Notifier
    recipient: str
    secrets: tuple[str, ...] = ()


class NotifierContract(Contract):
    """What every notifier does that speaks HTTP; inherit it in a class whose name starts with ``Test``.

    ``taken`` and ``subject`` are required.
    """

    taken: ClassVar[Routes]
    """The service's answers to a notification that it takes."""
    refused: ClassVar[Answer | None] = None
    """The service's answer that it will never tell this person."""
    hands_keys_on: ClassVar[bool] = True
    """Whether the service can refuse a second notification with the same key."""

    _handed_over = 0

    def subject(self, url: str) -> NotifierSubject:
        """Make a notifier on the service at ``url``."""
        raise NotImplementedError

    def test_name_and_channel(self) -> None:
        """The notifier has a name, and a channel that there is."""
        notifier = self.subject(NOWHERE).notifier
        expect(notifier.name.isidentifier() and notifier.name.islower(), "name is no name of a plugin")
        expect(notifier.channel in get_args(Channel), f"there is no channel {notifier.channel!r}")

    def test_notification_is_taken(self) -> None:
        """A notification is handed over once, whole."""
        error, requests = self._send(Answer(404, failure(404)), self.taken)
        expect(error is None, f"send raises {error!r}")
        changing = [one for one in requests if one.method not in {"GET", "HEAD"}]
        expect(len(changing) == 1, f"one notification made {len(changing)} requests")
        for part in (_SUBJECT, _TEXT):
            expect(part.encode() in changing[0].body, f"the notification lost its {part.rpartition(' ')[2]}")

    def test_handing_over_is_announced(self) -> None:
        """Core hears once, before the service does, that the notification goes out."""
        self._handed_over = 0
        _, requests = self._send(Cut())
        expect(self._handed_over == 1, f"send awaits handing_over {self._handed_over} times")
        expect(len(requests) == 1, f"one notification made {len(requests)} requests")

    def test_key_is_handed_on(self) -> None:
        """A notification that is repeated can be refused by the service: it has core's key."""
        if not self.hands_keys_on:
            not_applicable("the service takes no keys")
        for _ in range(2):
            _, requests = self._send(Answer(404, failure(404)), self.taken)
            carrying = [
                one for one in requests if KEY.encode() in one.body or KEY in (one.target, *one.headers.values())
            ]
            expect(bool(carrying), "send does not hand the notification's key on")

    def test_unreachable_is_unavailable(self) -> None:
        """A service that cannot be reached is tried later."""
        error = run(self._error_at(unreachable_url()))
        expect(isinstance(error, UnavailableError), f"expected UnavailableError, got {error!r}")

    def test_failures_are_unavailable(self) -> None:
        """A notification that the service did not take is tried later.

        Where it may have taken it, and takes no keys, that is said.
        """
        for status in (429, 503):
            self._expect_failure(Answer(status, failure(status)), UnavailableError)
        unclear = UnavailableError if self.hands_keys_on else UncertainError
        unanswered: tuple[Reaction, ...] = (Cut(), Hang(), *(Answer(status, failure(status)) for status in (500, 502)))
        for reaction in unanswered:
            self._expect_failure(reaction, unclear)

    def test_refused(self) -> None:
        """A person whom the service will never tell is not tried again."""
        if self.refused is None:
            not_applicable("the contract class gives no refused")
        error, _ = self._send(self.refused)
        expect(isinstance(error, RefusedError), f"expected RefusedError, got {error!r}")

    def test_wrong_credentials_are_misconfigured(self) -> None:
        """Wrong credentials are for an administrator to mend."""
        for status in (401, 403):
            error, _ = self._send(Answer(status, failure(status)))
            expect(isinstance(error, MisconfiguredError), f"expected MisconfiguredError, got {error!r}")

    def test_check_fails_where_the_service_does(self) -> None:
        """An administrator who asks is told what is wrong."""
        for reaction in (Answer(401, failure(401)), Answer(500, failure(500)), Answer(404, b""), Cut()):
            error = run(self._check(reaction))
            expect(isinstance(error, ProviderError), f"check raises {error!r} after {reaction!r}")

    def test_secrets_are_not_shown(self) -> None:
        """No log, value or error shows a secret of the settings, nor the body of a response."""
        shown = repr(self.subject(NOWHERE).notifier)
        for reaction in (Answer(200), Answer(401, failure(401)), Answer(500, failure(500)), Cut()):
            with captured_logs() as logs:
                errors = [self._send(reaction)[0], run(self._check(reaction))]
            shown += logs.getvalue() + "".join(told_by(error) for error in errors if error is not None)
        expect_hidden(self.subject(NOWHERE).secrets, shown, "a log, a value or an error")
        expect(CANARY not in shown, "an error or a log repeats the body of a response")

    def _expect_failure(self, reaction: Reaction, kind: type[ProviderError]) -> None:
        error, requests = self._send(reaction)
        expect(isinstance(error, kind), f"expected {kind.__name__} after {reaction!r}, got {error!r}")
        expect(len(requests) == 1, f"one notification made {len(requests)} requests")

    def _send(self, reaction: Reaction, routes: Routes | None = None) -> tuple[Exception | None, list[ReceivedRequest]]:
        async def scenario() -> tuple[Exception | None, list[ReceivedRequest]]:
            async with ScriptedServer(reaction, routes) as server:
                return await self._error_at(server.url), server.requests

        return run(scenario())

    async def _error_at(self, url: str) -> Exception | None:
        subject = self.subject(url)
        notification = Notification(
            key=KEY,
            kind="campaign.completed",
            user_id=1,
            recipient=subject.recipient,
            subject=_SUBJECT,
            text=_TEXT,
            html="<p>words of the page</p>",
            event=_EVENT if subject.notifier.channel == "realtime" else None,
        )
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await subject.notifier.send(notification, self._hand_over)
        except Exception as error:  # noqa: BLE001 - the check says which it may be
            return error
        finally:
            await subject.notifier.aclose()
        return None

    async def _hand_over(self) -> None:
        self._handed_over += 1

    async def _check(self, reaction: Reaction) -> Exception | None:
        async with ScriptedServer(reaction) as server:
            subject = self.subject(server.url)
            try:
                async with asyncio.timeout(CALL_SECONDS):
                    await subject.notifier.check()
            except Exception as error:  # noqa: BLE001 - the check says which it may be
                return error
            finally:
                with suppress(Exception):
                    await subject.notifier.aclose()
        return None
