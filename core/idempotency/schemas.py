"""What is kept of requests and answers."""

import msgspec


class Keyed(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came with a key."""

    user_id: int
    key: str
    method: str
    path: str
    fingerprint: bytes
    """SHA-256 over everything that makes the request what it is."""
    atomic: bool
    holder: str
    """Names this run of the request, so that it can only record an answer of its own."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, with the headers that belong to it."""

    status: int
    headers: dict[str, str]
    body: bytes
