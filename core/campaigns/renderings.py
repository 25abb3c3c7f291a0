"""Counting the renderings of a campaign's messages: how many there are, and how many people get the same one."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b

import msgspec

from core.campaigns.entropy_schemas import Entropy, EntropyLimit, MessageEntropy
from core.campaigns.sending import message_text
from core.campaigns.turns import Step

SAMPLE = 10_000
"""Contacts that are looked at, at most."""
BATCH = 1_000
"""Texts that are rendered in one go; a process that ends waits for no more."""
SHOWN = 200
"""Characters of the most frequent text that are kept."""


class Recipient(msgspec.Struct, frozen=True):
    """A contact that will get the campaign, with its variables as frozen, or as a start would freeze them."""

    contact_id: int
    variables: Mapping[str, str]


class Sample(msgspec.Struct, frozen=True):
    """Some of an audience."""

    contacts: int
    """Contacts of the audience that are not left out."""
    recipients: Sequence[Recipient]


def read_sample(rows: Sequence[Mapping[str, object]]) -> Sample:
    """Put rows of ``contact_id``, ``variables`` (JSON text or ``None``) and ``contacts`` together."""
    recipients = [
        Recipient(
            msgspec.convert(row["contact_id"], int),
            msgspec.json.decode(str(row["variables"]), type=dict[str, str]) if row["variables"] else {},
        )
        for row in rows
    ]
    return Sample(msgspec.convert(rows[0]["contacts"], int) if rows else 0, recipients)


async def measure(step: Step, sample: Sample) -> MessageEntropy:
    """Render a step for a sample, by the function and the seeds of the sending, in a thread; judged by no limit."""
    counts: Counter[bytes] = Counter()
    for begin in range(0, len(sample.recipients), BATCH):
        await asyncio.to_thread(_count, step, sample.recipients[begin : begin + BATCH], counts)
    return await asyncio.to_thread(_summarize, step, sample, counts)


def gather(
    campaign: tuple[int, int], sample: Sample, messages: Sequence[MessageEntropy], limit: EntropyLimit, now: datetime
) -> Entropy:
    """Put what was measured of a campaign, given by its id and version, together and judge it."""
    campaign_id, version = campaign
    measured = Entropy(
        campaign_id=campaign_id,
        version=version,
        contacts=sample.contacts,
        sampled=len(sample.recipients),
        max_share=None,
        too_uniform=False,
        messages=list(messages),
        computed_at=now,
    )
    return judge_by(limit, measured)


def judge_by(limit: EntropyLimit, measured: Entropy) -> Entropy:
    """Return what was measured, judged by a limit."""
    share = limit.max_share
    messages = [
        msgspec.structs.replace(
            message,
            uniform=share is not None and message.most_frequent_count > 1 and message.most_frequent_share > share,
        )
        for message in measured.messages
    ]
    too_uniform = any(message.uniform for message in messages)
    return msgspec.structs.replace(measured, max_share=share, messages=messages, too_uniform=too_uniform)


def _count(step: Step, recipients: Sequence[Recipient], counts: Counter[bytes]) -> None:
    # Ten thousand texts of 64 KiB each would be too many to keep.
    counts.update(_digest(content) for content in (_text(step, recipient) for recipient in recipients) if content)


def _summarize(step: Step, sample: Sample, counts: Counter[bytes]) -> MessageEntropy:
    texts = counts.total()
    digest, count = counts.most_common(1)[0] if counts else (b"", 0)
    contents = (_text(step, recipient) for recipient in sample.recipients)
    most_frequent = next((content for content in contents if _digest(content) == digest), "")
    return MessageEntropy(
        message_id=step.id,
        position=step.position,
        texts=texts,
        distinct=len(counts),
        most_frequent_count=count,
        most_frequent_share=count / texts if texts else 0.0,
        most_frequent_text=most_frequent[:SHOWN],
        uniform=False,
    )


def _text(step: Step, recipient: Recipient) -> str:
    """Return what the contact gets, empty where that is nothing to read."""
    content = message_text(step, recipient.contact_id, recipient.variables)
    return content if content.strip() else ""


def _digest(content: str) -> bytes:
    return blake2b(content.encode(), digest_size=16).digest()
