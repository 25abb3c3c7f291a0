from datetime import UTC, datetime
from typing import Any

import pytest

from core.campaigns.entropy_schemas import Entropy, EntropyLimit
from core.campaigns.rendering import compile_template
from core.campaigns.renderings import Recipient, Sample, gather, judge_by, measure, read_sample
from core.campaigns.tables import MessageType
from core.campaigns.turns import Step

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _step(content: str, position: int = 1) -> Step:
    return Step(position, position, compile_template(content), MessageType.TEXT, None)


async def _measured(contents: list[str], names: list[str], share: float | None = None) -> Entropy:
    """Measure messages for contacts of these names."""
    recipients = [Recipient(place, {"nome": name}) for place, name in enumerate(names)]
    steps = [_step(content, place) for place, content in enumerate(contents, start=1)]
    sample = Sample(len(names), recipients)
    messages = [await measure(step, sample) for step in steps]
    return gather((7, 3), sample, messages, EntropyLimit(max_share=share), NOW)


async def test_the_most_frequent_text_is_named_with_its_share() -> None:
    found = await _measured(["Oi {{ nome }}"], ["Ana", "Bia", "Ana", "Ana", "Caio"])
    (message,) = found.messages
    assert (message.texts, message.distinct, message.most_frequent_count) == (5, 3, 3)
    assert (message.most_frequent_share, message.most_frequent_text) == (0.6, "Oi Ana")
    assert (found.campaign_id, found.version, found.computed_at) == (7, 3, NOW)


async def test_of_equally_frequent_texts_the_first_is_named() -> None:
    found = await _measured(["{{ nome }}"], ["Bia", "Ana", "Ana", "Bia"])
    assert found.messages[0].most_frequent_text == "Bia"


async def test_what_is_empty_is_no_text() -> None:
    found = await _measured(["{{ nome }}", " "], ["", "", " ", "Ana", "Bia"], share=0.5)
    first, second = found.messages
    assert (first.texts, first.distinct, first.most_frequent_share) == (2, 2, 0.5)
    assert (second.texts, second.distinct, second.most_frequent_share, second.most_frequent_text) == (0, 0, 0.0, "")
    assert not found.too_uniform


async def test_a_long_text_is_shortened() -> None:
    found = await _measured(["x" * 201], ["Ana"])
    assert found.messages[0].most_frequent_text == "x" * 200


async def test_texts_that_differ_at_their_very_end_differ() -> None:
    found = await _measured(["x" * 4000 + "{{ nome }}"], ["Ana", "Bia"])
    assert found.messages[0].distinct == 2


@pytest.mark.parametrize(
    ("share", "expected"), [(None, [False, False]), (0.59, [True, True]), (0.6, [False, True]), (1.0, [False, False])]
)
async def test_uniform_is_what_lies_above_the_limit(share: float | None, expected: list[bool]) -> None:
    found = await _measured(["{{ nome }}", "Oi"], ["Ana", "Ana", "Ana", "Bia", "Caio"], share)
    assert [message.uniform for message in found.messages] == expected
    assert (found.max_share, found.too_uniform) == (share, any(expected))
    assert judge_by(EntropyLimit(), found).too_uniform is False


async def test_what_is_more_than_one_batch_is_counted_together() -> None:
    found = await _measured(["{{ nome }}"], ["Ana", "Bia", "Caio"] * 801)
    (message,) = found.messages
    assert (found.sampled, message.texts, message.distinct, message.most_frequent_count) == (2_403, 2_403, 3, 801)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], Sample(0, [])),
        ([{"contact_id": 5, "variables": None, "contacts": 9}], Sample(9, [Recipient(5, {})])),
        (
            [{"contact_id": 5, "variables": '{"nome": "Ana"}', "contacts": 9}],
            Sample(9, [Recipient(5, {"nome": "Ana"})]),
        ),
    ],
)
def test_a_row_without_variables_is_a_contact_all_the_same(rows: list[dict[str, Any]], expected: Sample) -> None:
    assert read_sample(rows) == expected
