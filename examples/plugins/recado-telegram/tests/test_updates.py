from datetime import UTC, datetime

import msgspec
import pytest
from recado_telegram.updates import next_cursor, offset_after, read_update

from core.plugin import MessageInEvent, UnknownEvent

ANA = {"id": 1001, "type": "private"}


def _update(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"update_id": 7, **fields}))


def test_what_somebody_writes_has_their_chat_as_its_address() -> None:
    message = {"message_id": 3, "date": 1795441639, "chat": ANA, "text": "Parar"}
    assert read_update(_update(message=message)) == MessageInEvent(
        dedupe_key="message:1001:3",
        id="1001:3",
        address="1001",
        text="Parar",
        at=datetime(2026, 11, 23, 13, 47, 19, tzinfo=UTC),
    )


@pytest.mark.parametrize(("fields", "text"), [({"caption": "Look"}, "Look"), ({"sticker": {}}, "")])
def test_a_file_counts_as_a_message_too(fields: dict[str, object], text: str) -> None:
    event = read_update(_update(message={"message_id": 3, "date": 1, "chat": ANA, **fields}))
    assert isinstance(event, MessageInEvent)
    assert event.text == text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"callback_query": {"id": "1"}}, "callback_query"),
        ({"message": {"message_id": 3, "date": 1, "chat": {"id": -5, "type": "group"}}}, "message of a group"),
        ({"message": {"message_id": 3, "date": 10**30, "chat": ANA}}, "message"),
        ({"message": "odd"}, "message"),
        ({}, "empty update"),
    ],
)
def test_what_is_not_written_to_the_bot_is_counted(fields: dict[str, object], name: str) -> None:
    assert read_update(_update(**fields)) == UnknownEvent(dedupe_key="update:7", name=name)


def test_the_cursor_is_one_more_than_the_last_update() -> None:
    updates = [msgspec.Raw(b'{"update_id": 9}'), msgspec.Raw(b'{"update_id": 8}')]
    assert next_cursor(updates, "4242") == "4242:10"


@pytest.mark.parametrize(("cursor", "offset"), [("4242:10", 10), ("77:10", None), ("", None), ("odd", None)])
def test_the_cursor_of_another_bot_is_not_used(cursor: str, offset: int | None) -> None:
    assert offset_after(cursor, "4242") == offset
