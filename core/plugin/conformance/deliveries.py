"""What every plugin does with webhook deliveries, whatever they are about."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

import msgspec

from core.plugin.conformance.checking import (
    NUMBER_SECRET,
    Contract,
    expect,
    nested,
    not_applicable,
    with_changed_texts,
    with_wrong_types,
)
from core.plugin.secret import Secret
from core.plugin.webhooks import UnknownEvent, WebhookDelivery

_GARBAGE = (
    b"",
    b"\xff\xfe\x00",
    b"[",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b'{"event": {"a": []}}',
    b"\0" * 100,
    b"a=1&b=%00",
)
_DEPTHS = (1_000, 5_000)
_LARGE = 10_000_000


class Said(Protocol):
    """An event or a hint."""

    @property
    def dedupe_key(self) -> str:
        """Equal for each delivery of the same fact."""
        ...


class Verdict(Protocol):
    """What the verdicts on deliveries share."""

    @property
    def genuine(self) -> bool:
        """Whether the delivery proves where it comes from."""
        ...

    @property
    def status(self) -> int:
        """What the service is answered."""
        ...


class DeliveryChecks(Contract):
    """Checks of webhooks; a contract class gives ``event``, ``unknown_event`` and ``delivery``."""

    event: ClassVar[bytes] = b""
    """The body of a webhook delivery that says something."""
    unknown_event: ClassVar[bytes] = b""
    """The body of a well-formed delivery of a kind the plugin does not know."""
    signs_body: ClassVar[bool] = True
    """Whether the service's webhook proof covers the body; false where it is only a shared token."""

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        """Make the request by which the service would deliver ``body``, with a proof made from ``secret``."""
        raise NotImplementedError

    def _judge(self, *deliveries: WebhookDelivery) -> list[tuple[Verdict, Sequence[Said]]]:
        """Let one new provider receive ``deliveries`` in this order; return each verdict, and what it says."""
        raise NotImplementedError

    def _secret(self) -> Secret:
        """Return the secret with which the subject verifies deliveries."""
        return NUMBER_SECRET

    def _why_no_deliveries(self) -> str:
        """Return why the checks of deliveries do not apply, or nothing."""
        return ""

    def test_genuine_delivery(self) -> None:
        """A delivery with the right proof is believed and says something."""
        ((verdict, said),) = self._judge(self._genuine())
        expect(verdict.genuine and verdict.status < 300, "a genuine delivery was refused")  # noqa: PLR2004 - 2xx
        expect(bool(said), "a genuine delivery gave no event")
        expect(not any(isinstance(one, UnknownEvent) for one in said), "the event was not understood")

    def test_same_delivery_has_the_same_dedupe_keys(self) -> None:
        """A delivery that comes again, to another process, can be recognised."""
        delivery = self._genuine()
        first, again = ([one.dedupe_key for one in self._judge(delivery)[0][1]] for _ in range(2))
        expect(first == again, "dedupe keys differ")
        expect(len(set(first)) == len(first) and all(first), "dedupe keys are empty or repeat within a delivery")

    def test_duplicate_delivery_says_the_same(self) -> None:
        """The plugin remembers no deliveries: core must get what it says each time, to know that it is applied."""
        first, again = self._judge(self._genuine(), self._genuine())
        expect(_shape(first[1]) == _shape(again[1]), "the second of two equal deliveries says something else")
        expect(again[0].status == first[0].status, "the second of two equal deliveries is answered otherwise")

    def test_deliveries_in_any_order_say_the_same(self) -> None:
        """What a delivery says does not depend on those before it."""
        event, unknown = self._genuine(), self._signed(self.unknown_event)
        alone = self._judge(event)[0][1]
        last = self._judge(unknown, self._signed(b"["), event)[-1][1]
        expect(_shape(alone) == _shape(last), "a delivery says something else after others")

    def test_delivery_without_proof_is_refused(self) -> None:
        """Nothing is read from a delivery that proves nothing."""
        self._expect_refused(msgspec.structs.replace(self._genuine(), headers={}, query={}))

    def test_delivery_with_another_secret_is_refused(self) -> None:
        """One number's secret is no proof for another."""
        self._genuine()
        self._expect_refused(self.delivery(self.event, Secret("another number's secret")))

    def test_delivery_with_an_odd_proof_is_refused(self) -> None:
        """A proof that is empty or no ASCII is refused like any other, not an error."""
        delivery = self._genuine()
        for odd in ("", "é\0", "=" * 10_000):
            headers = dict.fromkeys(delivery.headers, odd)
            query = dict.fromkeys(delivery.query, odd)
            self._expect_refused(msgspec.structs.replace(delivery, headers=headers, query=query))

    def test_tampered_delivery_is_refused(self) -> None:
        """A changed body breaks the signature, even where it means the same."""
        delivery = self._genuine()
        if not self.signs_body:
            not_applicable("the service's proof does not cover the body")
        self._expect_refused(msgspec.structs.replace(delivery, body=delivery.body + b" "))

    def test_unknown_event_is_no_error(self) -> None:
        """What the plugin does not know is answered like anything else, and counted where events are."""
        self._genuine()
        ((verdict, said),) = self._judge(self._signed(self.unknown_event))
        expect(verdict.genuine and verdict.status < 300, "an unknown event was refused")  # noqa: PLR2004 - 2xx
        self._expect_unknown(said)

    def _expect_unknown(self, said: Sequence[Said]) -> None:
        """Check what a delivery of an unknown kind says."""
        raise NotImplementedError

    def test_garbage_with_proof_is_no_error(self) -> None:
        """A genuine delivery of nonsense raises nothing and says nothing."""
        self._genuine()
        for body in _GARBAGE:
            self._expect_nothing(body)

    def test_nested_delivery_is_no_error(self) -> None:
        """A delivery that is nested 1,000 levels deep and more raises nothing and says nothing."""
        self._genuine()
        for depth in _DEPTHS:
            for body in nested(depth):
                self._expect_nothing(body)
                self._receive(self.event.rstrip()[:-1] + b', "nested": ' + body + b"}")

    def test_large_delivery_is_no_error(self) -> None:
        """A delivery of 10 MB raises nothing."""
        self._genuine()
        self._expect_nothing(b"x" * _LARGE)
        for body in with_changed_texts(self.event, lambda text: text + "x" * _LARGE):
            self._receive(body)

    def test_delivery_with_nul_is_no_error(self) -> None:
        """NULs in any text raise nothing."""
        self._genuine()
        self._for_each(with_changed_texts(self.event, lambda text: f"\0{text}\0"))

    def test_delivery_with_wrong_types_is_no_error(self) -> None:
        """Values of the wrong type, in any place, raise nothing."""
        self._genuine()
        self._for_each(with_wrong_types(self.event))

    def _for_each(self, bodies: Iterable[bytes]) -> None:
        tried = [*bodies]
        if not tried:
            not_applicable("the event is no JSON")
        try:
            # One provider for all is much quicker; which of them it was is found out where one fails.
            results = self._judge(*(self._signed(body) for body in tried))
        except Exception:
            for body in tried:
                self._receive(body)
            raise
        for body, (verdict, said) in zip(tried, results, strict=True):
            self._expect_fit(body[:100], verdict, said)

    def _receive(self, body: bytes) -> Sequence[Said]:
        shown = body[:100]
        try:
            ((verdict, said),) = self._judge(self._signed(body))
        except Exception as error:
            raise AssertionError(f"the genuine delivery {shown!r} raises {type(error).__name__}: {error}") from error
        self._expect_fit(shown, verdict, said)
        return said

    def _expect_fit(self, shown: bytes, verdict: Verdict, said: Sequence[Said]) -> None:
        expect(verdict.genuine, f"the genuine delivery {shown!r} was refused")
        expect(verdict.status < 500, f"the delivery {shown!r} is answered {verdict.status}")  # noqa: PLR2004 - 5xx
        expect(all(one.dedupe_key for one in said), f"the delivery {shown!r} gave an event without dedupe key")

    def _expect_nothing(self, body: bytes) -> None:
        known = [one for one in self._receive(body) if not isinstance(one, UnknownEvent)]
        expect(not known, f"{body[:20]!r} gave {known!r}")

    def _expect_refused(self, delivery: WebhookDelivery) -> None:
        ((verdict, said),) = self._judge(delivery)
        expect(not verdict.genuine, "a delivery without a valid proof was believed")
        expect(not said, "a delivery without a valid proof gave events")
        expect(400 <= verdict.status < 500, "a delivery without a valid proof must be answered 4xx")  # noqa: PLR2004

    def _genuine(self) -> WebhookDelivery:
        """Make the genuine delivery of the event; ends the check where the plugin has no webhooks."""
        if why := self._why_no_deliveries():
            not_applicable(why)
        return self._signed(self.event)

    def _signed(self, body: bytes) -> WebhookDelivery:
        return self.delivery(body, self._secret())


def _shape(said: Sequence[Said]) -> list[dict[str, object]]:
    """Return what has to be equal however often a delivery comes; the time of a fact may be that of its arrival."""
    return [{"kind": type(one), **_fields(one)} for one in said]


def _fields(one: Said) -> dict[str, object]:
    names = one.__struct_fields__ if isinstance(one, msgspec.Struct) else ()
    return {name: getattr(one, name) for name in names if name != "at"}
