import asyncio
from datetime import UTC, datetime

import pytest
from conftest import TOKEN, StartTelegram, Telegram
from recado_telegram.messages import content_type
from recado_telegram.provider import ABILITIES, TelegramProvider
from recado_telegram.simulator.state import Fault, Person

from core.plugin import (
    Accepted,
    Media,
    MessageInEvent,
    MessageKind,
    MisconfiguredError,
    Outcome,
    OutgoingMessage,
    Polled,
    Rejected,
    Retryable,
    SenderReport,
    SenderState,
    SenderStopped,
    UnavailableError,
    Unknown,
)

OGG = Media(mimetype="audio/ogg", filename='vo"ice.ogg', content=b"\x00OggS\r\n--not the end\xff")


async def _send(
    provider: TelegramProvider,
    telegram: Telegram,
    text: str = "Hello",
    kind: MessageKind = MessageKind.TEXT,
    media: Media | None = None,
    address: str = "1001",
) -> Outcome:
    message = OutgoingMessage(address, kind, text, media)
    prepared = provider.prepare(message, telegram.sender(), provider.new_client_id())
    return await provider.send(prepared, telegram.sender())


def _texts(polled: Polled) -> list[str]:
    return [event.text for event in polled.events if isinstance(event, MessageInEvent)]


class TestState:
    async def test_the_probe_names_the_bot(self, provider: TelegramProvider, telegram: Telegram) -> None:
        found = await provider.capabilities(telegram.sender().server)
        assert (found.engine, found.inbound, found.receipts, found.sign_in) == (
            "@recado_bot",
            "poll",
            "none",
            ("token",),
        )
        assert await provider.check(telegram.sender().server) == "Telegram bot @recado_bot"

    async def test_a_known_token_is_all_it_takes(self, provider: TelegramProvider, telegram: Telegram) -> None:
        report = await provider.state(telegram.sender())
        assert report == SenderReport(state=SenderState.CONNECTED, address="@recado_bot", name="Recado")

    @pytest.mark.parametrize("token", ["4242:another", "no-token"])
    async def test_an_unknown_token_fails(self, provider: TelegramProvider, telegram: Telegram, token: str) -> None:
        report = await provider.state(telegram.sender(token))
        assert report == SenderReport(state=SenderState.FAILED, raw="unauthorized")
        with pytest.raises(MisconfiguredError) as refused:
            await provider.capabilities(telegram.sender(token).server)
        assert token not in str(refused.value)

    async def test_a_webhook_needs_a_person(self, provider: TelegramProvider, telegram: Telegram) -> None:
        await telegram.call("setWebhook", url="https://elsewhere.example")
        report = await provider.state(telegram.sender())
        assert report == SenderReport(state=SenderState.NEEDS_PERSON, raw="webhook_set")


class TestSend:
    async def test_a_text_arrives(self, provider: TelegramProvider, telegram: Telegram) -> None:
        outcome = await _send(provider, telegram, "Olá\n{não} *formatado*")
        (arrival,) = telegram.service.arrivals
        assert outcome == Accepted((f"1001:{arrival.message_id}",), "1001")
        assert (arrival.chat_id, arrival.text) == (1001, "Olá\n{não} *formatado*")

    @pytest.mark.parametrize(
        ("kind", "method"),
        [
            (MessageKind.IMAGE, "sendphoto"),
            (MessageKind.VIDEO, "sendvideo"),
            (MessageKind.AUDIO, "sendvoice"),
            (MessageKind.DOCUMENT, "senddocument"),
        ],
    )
    async def test_a_file_arrives_whole(
        self, provider: TelegramProvider, telegram: Telegram, kind: MessageKind, method: str
    ) -> None:
        assert isinstance(await _send(provider, telegram, "Legenda é", kind, OGG), Accepted)
        (arrival,) = telegram.service.arrivals
        assert (arrival.method, arrival.text, arrival.file_bytes) == (method, "Legenda é", len(OGG.content))

    async def test_a_file_by_address_is_fetched(
        self, provider: TelegramProvider, telegram: Telegram, start_telegram: StartTelegram
    ) -> None:
        other = await start_telegram()
        wrong = Media(mimetype="image/png", filename="a.png", url=f"{other.url}/bot{TOKEN}/getMe")
        away = Media(mimetype="image/png", filename="a.png", url=f"{other.url}/nowhere")
        assert await _send(provider, telegram, "", MessageKind.IMAGE, wrong) == Rejected("media_refused")
        assert await _send(provider, telegram, "", MessageKind.IMAGE, away) == Retryable("media_unreachable")

    async def test_lengths_are_telegrams(self, provider: TelegramProvider, telegram: Telegram) -> None:
        assert isinstance(await _send(provider, telegram, "a" * 4096), Accepted)
        assert await _send(provider, telegram, "a" * 4097) == Rejected("text_too_long")
        assert isinstance(await _send(provider, telegram, "a" * 1024, MessageKind.AUDIO, OGG), Accepted)
        assert await _send(provider, telegram, "a" * 1025, MessageKind.AUDIO, OGG) == Rejected("caption_too_long")

    async def test_who_cannot_be_reached(self, provider: TelegramProvider, telegram: Telegram) -> None:
        people = telegram.service.people
        people[2] = Person(id=2, blocked=True)
        people[3] = Person(id=3, deactivated=True)
        outcomes = [await _send(provider, telegram, address=address) for address in ("2", "3", "4", "no chat")]
        codes = ("blocked_by_recipient", "account_deleted", "chat_not_found", "chat_not_found")
        assert outcomes == [Rejected(code) for code in codes]

    async def test_too_many_have_to_wait(self, provider: TelegramProvider, start_telegram: StartTelegram) -> None:
        telegram = await start_telegram(per_second=2, retry_after=9)
        outcomes = [await _send(provider, telegram) for _ in range(3)]
        assert outcomes[2] == Retryable("too_many_requests", 9.0, scope="sender")
        assert len(telegram.service.arrivals) == 2

    async def test_a_lost_answer_is_unknown(self, provider: TelegramProvider, telegram: Telegram) -> None:
        telegram.service.faults = [Fault(kind="lost_answer"), Fault(kind="500")]
        assert await _send(provider, telegram) == Unknown("connection_lost")
        assert len(telegram.service.arrivals) == 1
        assert await _send(provider, telegram) == Unknown("http_500")
        assert len(telegram.service.arrivals) == 1

    async def test_a_revoked_token_stops_the_bot(self, provider: TelegramProvider, telegram: Telegram) -> None:
        sender = telegram.sender("4242:revoked")
        prepared = provider.prepare(OutgoingMessage("1001", MessageKind.TEXT, "Hello"), sender, "id")
        assert await provider.send(prepared, sender) == SenderStopped("unauthorized", scope="server")

    async def test_typing_is_shown_to_whoever_can_be_reached(
        self, provider: TelegramProvider, telegram: Telegram
    ) -> None:
        await provider.show_typing(telegram.sender(), "1001", active=True)
        await provider.show_typing(telegram.sender(), "1001", active=False)

    def test_a_file_goes_as_a_form(self, provider: TelegramProvider, telegram: Telegram) -> None:
        message = OutgoingMessage("1001", MessageKind.AUDIO, "", OGG)
        prepared = provider.prepare(message, telegram.sender(), "abc")
        assert content_type(prepared) == "multipart/form-data; boundary=recado-abc"
        assert b'filename="vo%22ice.ogg"\r\nContent-Type: audio/ogg\r\n\r\n' + OGG.content in prepared.body
        assert TOKEN not in repr(prepared)


class TestPoll:
    async def test_updates_stay_until_the_cursor_says_they_are_stored(
        self, provider: TelegramProvider, telegram: Telegram
    ) -> None:
        sender = telegram.sender()
        await telegram.service.write(1001, "Sim")
        first = await provider.poll(sender, "", wait_seconds=1)
        assert _texts(first) == ["/start", "Sim"]
        assert await provider.poll(sender, "", wait_seconds=1) == first
        await telegram.service.write(1001, "Parar")
        second = await provider.poll(sender, first.cursor, wait_seconds=1)
        assert _texts(second) == ["Parar"]
        assert _texts(await provider.poll(sender, "", wait_seconds=1)) == ["Parar"]

    async def test_it_waits_for_somebody_to_write(self, provider: TelegramProvider, telegram: Telegram) -> None:
        sender = telegram.sender()
        cursor = (await provider.poll(sender, "", wait_seconds=1)).cursor
        waiting = asyncio.create_task(provider.poll(sender, cursor, wait_seconds=20))
        while telegram.service.polls < 2:  # noqa: ASYNC110 - the server gives no event
            await asyncio.sleep(0.01)
        begun = datetime.now(UTC)
        await telegram.service.write(1001, "Oi")
        assert _texts(await waiting) == ["Oi"]
        assert (datetime.now(UTC) - begun).total_seconds() < 10

    async def test_nothing_happened_is_no_error(self, provider: TelegramProvider, telegram: Telegram) -> None:
        cursor = (await provider.poll(telegram.sender(), "", wait_seconds=1)).cursor
        assert await provider.poll(telegram.sender(), cursor, wait_seconds=0) == Polled(events=(), cursor=cursor)

    async def test_two_programs_cannot_ask_for_one_bot(self, provider: TelegramProvider, telegram: Telegram) -> None:
        sender = telegram.sender()
        cursor = (await provider.poll(sender, "", wait_seconds=1)).cursor
        waiting = asyncio.create_task(provider.poll(sender, cursor, wait_seconds=20))
        while telegram.service.polls < 2:  # noqa: ASYNC110 - the server gives no event
            await asyncio.sleep(0.01)
        await telegram.call("getUpdates")
        with pytest.raises(UnavailableError, match="Another program"):
            await waiting

    async def test_a_webhook_has_to_go_first(self, provider: TelegramProvider, telegram: Telegram) -> None:
        await telegram.call("setWebhook", url="https://elsewhere.example")
        with pytest.raises(MisconfiguredError, match="webhook"):
            await provider.poll(telegram.sender(), "", wait_seconds=1)

    async def test_groups_are_passed_over(self, provider: TelegramProvider, telegram: Telegram) -> None:
        cursor = (await provider.poll(telegram.sender(), "", wait_seconds=1)).cursor
        await telegram.service.write(1001, "in a group", chat={"id": -7, "type": "group", "title": "Friends"})
        polled = await provider.poll(telegram.sender(), cursor, wait_seconds=1)
        assert (_texts(polled), len(polled.events)) == ([], 1)
        assert polled.cursor != cursor


def test_a_bot_can_hold_one_number() -> None:
    assert ABILITIES.multi_session is False
