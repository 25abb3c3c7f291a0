"""Acknowledgements: how far a message came, as each engine tells it."""

import asyncio
from collections.abc import Iterator
from typing import Any

from plugins.waha.simulator import shapes
from plugins.waha.simulator.faults import ACK_KINDS, Faults, Match
from plugins.waha.simulator.state import Group, Message, Session, State
from plugins.waha.simulator.webhooks import Webhooks

_ERROR, _SERVER, _DEVICE, _READ = -1, 1, 2, 3
_RESTRICTION_SECONDS = 86_400
_BROWSERS = {"WEBJS", "WPP"}


class Acks:
    """Sends ``message.ack`` and ``message.ack.group``."""

    def __init__(self, state: State, faults: Faults, webhooks: Webhooks) -> None:
        self._state = state
        self._faults = faults
        self._webhooks = webhooks

    async def acknowledge(self, session: Session, message: Message) -> None:
        """Tell, one after the other, what became of a message that went out."""
        fault = self._faults.take(ACK_KINDS, Match(session=session.name, chat_id=message.chat, text=message.text))
        kind = fault.kind if fault else ""
        if kind == "no_acks":
            return
        if fault is not None and kind == "late_acks":
            await asyncio.sleep(fault.seconds)
        for event, ack, payload in self._events(session, message, kind):
            await asyncio.sleep(self._state.random.uniform(0, self._state.options.ack_seconds))
            if (ack > message.ack or ack < 0) and not session.ignores(message.chat):
                message.ack = ack
                self._state.store(message)
            self._webhooks.emit(session, event, payload, message.chat)

    def _events(self, session: Session, message: Message, kind: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
        if kind == "restricted_ack":
            ends = self._state.time() + _RESTRICTION_SECONDS
            yield "message.ack", _ERROR, shapes.acknowledged(message, _ERROR) | {"error": shapes.restriction(ends)}
            return
        group = self._state.groups.get(message.chat)
        if kind == "failed_ack":
            yield "message.ack", _ERROR, shapes.acknowledged(message, _ERROR)
            return
        acks: tuple[int, ...] = (_SERVER, _DEVICE, _READ) if self._is_read() else (_SERVER, _DEVICE)
        if kind == "duplicate_acks":
            acks = tuple(ack for ack in acks for _ in range(2))
        if kind == "out_of_order_acks":
            acks = acks[::-1]
        if group is None:
            yield from (("message.ack", ack, shapes.acknowledged(message, ack)) for ack in acks)
        else:
            yield from self._group_events(session, message, group, acks)

    def _group_events(
        self, session: Session, message: Message, group: Group, acks: tuple[int, ...]
    ) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """Yield the receipts of each participant; a browser shows one mark for the whole group."""
        if self._state.options.engine in _BROWSERS:
            yield from (("message.ack.group", ack, shapes.acknowledged(message, ack)) for ack in acks)
            return
        if _SERVER in acks and self._state.options.engine == "NOWEB":
            yield "message.ack", _SERVER, shapes.acknowledged(message, _SERVER)
        for phone in group.participants:
            if phone != session.phone:
                for ack in acks:
                    if ack != _SERVER:
                        payload = shapes.received(message, ack, phone, self._state)
                        yield "message.ack.group", ack, payload

    def _is_read(self) -> bool:
        return self._state.random.random() < self._state.options.read_share
