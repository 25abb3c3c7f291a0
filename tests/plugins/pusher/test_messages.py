"""What is sent of an event, what Pusher would not take, and progress told once."""

import msgspec
import pytest

from core.plugin import RefusedError
from plugins.pusher.messages import DATA_BYTES, Message, coalesce, is_socket_id, message_of
from tests.plugins.pusher.conftest import event, event_of_size


def test_the_data_is_the_envelope_byte_for_byte() -> None:
    told = event(data={"name": "Zoë 👩\u200d🚀 \u202eabc"})

    assert message_of(told) == Message("campaign.completed", "private-user-7", bytes(told.body).decode())


def test_ten_kilobytes_are_taken_and_no_byte_more() -> None:
    assert len(message_of(event_of_size(DATA_BYTES)).data) == 10_240
    with pytest.raises(RefusedError, match="has 10241 bytes, and Pusher takes 10240") as refused:
        message_of(event_of_size(DATA_BYTES + 1))
    assert refused.value.provider_code == "event_too_large"


def test_bytes_are_counted_and_not_characters() -> None:
    with pytest.raises(RefusedError, match="Pusher takes 10240 at most"):
        message_of(event(data={"text": "á" * 6_000}))


@pytest.mark.parametrize("length", [0, 201])
def test_names_have_1_to_200_characters(length: int) -> None:
    with pytest.raises(RefusedError, match=f"has {length} characters"):
        message_of(msgspec.structs.replace(event(), type="x" * length))


def test_a_name_of_200_characters_is_taken() -> None:
    assert message_of(msgspec.structs.replace(event(), type="x" * 200)).name == "x" * 200


def test_of_one_subjects_progress_the_last_is_told() -> None:
    events = [
        event("campaign.progress", number=1, data={"campaign_id": 1, "sent": 1}),
        event("campaign.progress", number=2, data={"campaign_id": 2, "sent": 1}),
        event("campaign.completed", number=3, data={"campaign_id": 1}),
        event("campaign.progress", number=4, data={"campaign_id": 1, "sent": 2}),
        event("job.progress", number=5, data={"job_id": 1}),
        event("campaign.progress", number=6, user_id=8, data={"campaign_id": 1}),
        event("job.progress", number=7, data={"job_id": 1}),
    ]

    assert [one.id for one in coalesce(events)] == ["evt_2", "evt_3", "evt_4", "evt_6", "evt_7"]


def test_what_is_no_progress_is_told_as_often_as_it_happens() -> None:
    events = [event("number.changed", number=number, data={"number_id": 1}) for number in range(3)]

    assert coalesce(events) == events


@pytest.mark.parametrize("text", ["1234.1234", "0.1", "99999999999999999999.99999999999999999999"])
def test_ids_of_connections(text: str) -> None:
    assert is_socket_id(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "1", "1.", ".1", "1.2.3", "1.2\n", "\n1.2", "1.2 ", "1.a", "-1.2", "+1.2", "1,2", "1\x00.2"),
        *("1:evil", "1.2:private-user-7", "1.2::user::{}", "\u0661.\u0662", "\uff11.\uff12", "1." + "2" * 21),
    ],
)
def test_everything_else_is_none(text: str) -> None:
    assert not is_socket_id(text)
