"""Reads: the server itself, and the messages in its database."""

import math
from typing import Any

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.http import Reply, Request, Router, json_reply
from plugins.evolution.simulator.state import Message, State

_PAGE = 50
_HIDDEN_SINCE = (2, 3, 0)
_DOCUMENTATION = "https://doc.evolution-api.com"


class Lookups:
    """The calls that change nothing."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self, router: Router) -> None:
        """Add the calls."""
        is_v1 = self._state.options.is_v1
        router.add("GET", "/", self._root)
        if not is_v1:
            router.add("POST", "/verify-creds", self._credentials)
        router.add("POST", "/chat/findMessages/{instance}", self._messages)
        router.add("POST", "/chat/findStatusMessage/{instance}", self._statuses)

    async def _root(self, _: Request) -> Reply:
        options = self._state.options
        found = {
            "status": 200,
            "message": "Welcome to the Evolution API, it is working!",
            "version": options.version,
            "manager": f"{options.server_url}/manager",
            "documentation": _DOCUMENTATION,
        }
        if options.is_v1:
            return json_reply({**found, "swagger": f"{options.server_url}/docs"})
        return json_reply({**found, "clientName": "evolution_exchange", "whatsappWebVersion": "2.3000.1029774557"})

    async def _credentials(self, _: Request) -> Reply:
        return json_reply({"status": 200, "message": "Credentials are valid"})

    async def _messages(self, request: Request) -> Reply:
        """Answer with the newest first: v2 in pages, whose size is called ``offset``; v1 as a list."""
        options, fields = self._state.options, request.fields()
        instance = self._state.instances[request.names["instance"]]
        where = _part(fields, "where")
        found = [one for one in self._state.stored(instance.name) if self._passes(one, _part(where, "key"), where)]
        if options.is_v1:
            return json_reply([shapes.stored(one, instance, options) for one in found[: _count(fields, "limit", 10)]])
        size, page = _count(fields, "offset", _PAGE), _count(fields, "page", 1)
        records = [shapes.stored(one, instance, options) for one in found[(page - 1) * size : page * size]]
        pages = math.ceil(len(found) / size)
        return json_reply({"messages": {"total": len(found), "pages": pages, "currentPage": page, "records": records}})

    async def _statuses(self, request: Request) -> Reply:
        options = self._state.options
        instance = self._state.instances[request.names["instance"]]
        where = _part(request.fields(), "where")
        rows = [
            shapes.updated(one, status, instance, options)
            for one in self._state.stored(instance.name)
            if self._passes(one, where, {})
            for status in one.updates
            if where.get("status") in (None, None, status)
        ]
        return json_reply(rows)

    def _passes(self, message: Message, key: dict[str, Any], where: dict[str, Any]) -> bool:
        """Whether a message fits; v2 takes a false ``fromMe`` for none, and knows hidden numbers from 2.3 on."""
        options = self._state.options
        from_me, hidden = key.get("fromMe"), key.get("remoteJidAlt")
        is_of_chat = key.get("remoteJid") in (None, None, message.chat)
        if hidden is not None and options.parsed_version >= _HIDDEN_SINCE:
            is_of_chat = message.alternative == hidden or key.get("remoteJid") == message.chat
        return (
            is_of_chat
            and key.get("id") in (None, None, message.id)
            and (from_me in (None, None, message.from_me) or (not options.is_v1 and not from_me))
            and where.get("messageType") in (None, None, message.message_type)
            and where.get("source") in (None, None, message.source)
        )


def _part(fields: dict[str, Any], name: str) -> dict[str, Any]:
    part = fields.get(name)
    return part if isinstance(part, dict) else {}


def _count(fields: dict[str, Any], name: str, default: int) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and value > 0 else default
