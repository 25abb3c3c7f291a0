import types
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest

from core.events.catalogue import EVENTS, LIVE, STREAM, TRIED, WEBHOOK, Envelope, Event, seal
from core.events.reference import reference, type_name

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "events.md"
SAMPLES: dict[object, Any] = {
    int: 2**40,
    str: 'Lúa "\u202e\n\r🎉',
    bool: True,
    datetime: datetime(2026, 1, 31, 9, tzinfo=UTC),
}


def sample(kind: type[Event]) -> Event:
    """An event with every field filled."""
    return kind(**{field.name: SAMPLES[_first(field.type)] for field in msgspec.structs.fields(kind)})


def _first(kind: object) -> object:
    return get_args(kind)[0] if get_origin(kind) in {Union, types.UnionType} else kind


def test_the_page_is_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "type `make docs`"


def test_every_event_has_its_section() -> None:
    text = reference()
    for name, event in EVENTS.items():
        section = text.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        assert f"Told: {_where(name)}." in section
        for field in msgspec.structs.fields(event):
            assert f"| `{field.name}` | {type_name(field.type)} |" in section


def _where(name: str) -> str:
    if name in STREAM:
        return "by a connection of the stream about itself"
    if name in TRIED:
        return "to the endpoint that is tried"
    return {
        (True, True): "live and to webhooks",
        (True, False): "live",
        (False, True): "to webhooks",
    }[name in LIVE, name in WEBHOOK]


def test_every_event_is_told_somewhere() -> None:
    assert set(EVENTS) == LIVE | WEBHOOK | STREAM | TRIED
    assert frozenset() == (LIVE | WEBHOOK) & (STREAM | TRIED)


@pytest.mark.parametrize("kind", EVENTS.values(), ids=lambda kind: kind.type)
def test_what_is_sealed_is_read_again_strictly(kind: type[Event]) -> None:
    event = sample(kind)
    envelope = msgspec.json.decode(msgspec.json.encode(seal(event)), type=Envelope)
    assert envelope.type == kind.type
    assert msgspec.json.decode(envelope.data, type=kind, strict=True) == event
    assert set(msgspec.json.decode(envelope.data)) == set(kind.__struct_fields__)
