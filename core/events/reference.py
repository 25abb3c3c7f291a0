"""Write docs/reference/events.md from the catalogue; ``make docs`` runs this."""

import inspect
import re
import sys
import types
from collections.abc import Iterator
from datetime import datetime
from typing import Union, get_args, get_origin

import msgspec

from core.events.catalogue import EVENTS, STREAM, TRIED, Envelope, Event

_HEAD = """# Events

What happens to an account is told in one shape everywhere: in `GET /api/events`, at realtime services such as Pusher,
and in outgoing webhooks. `make docs` writes this page again from `core/events/catalogue.py`. How a page shows them is
in [show progress live](../how-to/show-progress-live.md).

## The envelope

```json
{"id": "evt_5f0c6a1e9b7d4c2a8e3f1b60", "type": "number.connected", "created_at": "2026-01-31T09:00:00Z", "data": {}}
```

| Field | Type | Holds |
|---|---|---|
"""
_FIELDS = {
    "id": "The same wherever and however often the event is told: what was seen already can be passed over by it.",
    "type": "The name of the event.",
    "created_at": "When it happened.",
    "data": "The body, by type as below.",
}
_STREAM = """
## The stream

`GET /api/events` answers with [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html):
`event` is the type, `data` the envelope, and `id` the place in the stream. That is another id than the envelope's; the
header `Last-Event-ID`, or the parameter `last_event_id`, takes it.

- The first event is `stream.opened`, or `stream.reset` where not everything since the given id can follow. The last 500
  events of an account are kept, each for an hour. A page fetches again after `stream.opened` with `resumed` false, and
  after `stream.reset`, whenever that comes.
- A comment comes every 15 seconds. Somebody who reads too slowly is told `stream.reset` and goes on with what is new.
  A connection is ended where nothing that was sent is taken for 30 seconds, so one that is gone without a word is
  noticed within 45 (on Linux; behind a proxy it is the proxy that has to notice).
- It takes a bearer token, an API key with the scope `read`, the cookie of a sign-in, or a ticket: `POST
  /api/events/ticket` makes one that opens it once, within 45 seconds (`GET /api/events?ticket=...`). When the sign-in
  ends, so does the stream, within 5 seconds.
- One account may have 20 connections in each API process. One more ends the oldest when that has stood for a minute,
  with `retry: 30000`, and the browser comes again 30 seconds later; where all are newer it is 429 `too_many_streams`.
- Opening one counts as one request. With a ticket, the request that made it counts alone.
- Events are hints; the rows that the API shows are the truth. When Redis is away some are lost, and whoever missed one
  is told `stream.reset` when it is there again.
- `campaign.progress` and `job.progress` come at most twice a second for each campaign and job; the last change is
  always told.

## Every event
"""


def reference() -> str:
    """Return the whole page."""
    return _HEAD + "".join(_envelope()) + _STREAM + "".join(part for event in EVENTS.values() for part in _event(event))


def _envelope() -> Iterator[str]:
    for field in msgspec.structs.fields(Envelope):
        kind = "object" if field.name == "data" else type_name(field.type)
        yield f"| `{field.name}` | {kind} | {_FIELDS[field.name]} |\n"


def _event(event: type[Event]) -> Iterator[str]:
    yield f"\n### {event.type}\n\n{_prose(inspect.getdoc(event) or '')}\n\nTold: {_where(event)}.\n"
    fields = msgspec.structs.fields(event)
    if fields:
        yield "\n| Field | Type |\n|---|---|\n"
    for field in fields:
        yield f"| `{field.name}` | {type_name(field.type)} |\n"


def _where(event: type[Event]) -> str:
    if event.type in STREAM:
        return "by a connection of the stream about itself"
    if event.type in TRIED:
        return "to the endpoint that is tried"
    places = [name for name, told in (("live", event.live), ("to webhooks", event.webhook)) if told]
    return " and ".join(places)


def type_name(kind: object) -> str:
    """Name a type as the page shows it."""
    if get_origin(kind) in {Union, types.UnionType}:
        return " or ".join(type_name(one) for one in get_args(kind))
    named: dict[object, str] = {
        int: "integer",
        str: "string",
        bool: "boolean",
        datetime: "time, UTC",
        type(None): "null",
    }
    return named[kind]


def _prose(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text)


if __name__ == "__main__":
    sys.stdout.write(reference())
