"""Reads: the server itself, and the messages in its database."""

import math
from typing import Any

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.http import Reply, Request, Router, json_reply
from plugins.evolution.simulator.state import Message, State

_PAGE = 50
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
        router.add("GET" if is_v1 else "POST", "/chat/findChats/{instance}", self._chats)
        router.add("POST", "/chat/findContacts/{instance}", self._contacts)

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
        found = [one for one in self._state.stored(instance.name) if _passes(one, _part(where, "key"), where)]
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
            if _passes(one, where, {})
            for status in one.updates
            if where.get("status") in (None, None, status)
        ]
        return json_reply(rows)

    async def _chats(self, request: Request) -> Reply:
        """Answer with the addresses that the instance wrote to or heard from, the latest first."""
        return json_reply([{"remoteJid": one.chat, "pushName": one.push_name} for one in self._people(request)])

    async def _contacts(self, request: Request) -> Reply:
        name = "id" if self._state.options.is_v1 else "remoteJid"
        wanted = _part(request.fields(), "where").get(name)
        people = [one for one in self._people(request) if wanted in (None, None, one.chat)]
        return json_reply([{name: one.chat, "pushName": one.push_name} for one in people])

    def _people(self, request: Request) -> list[Message]:
        people: dict[str, Message] = {}
        for one in self._state.stored(request.names["instance"]):
            people.setdefault(one.chat, one)
        return list(people.values())


def _part(fields: dict[str, Any], name: str) -> dict[str, Any]:
    part = fields.get(name)
    return part if isinstance(part, dict) else {}


def _count(fields: dict[str, Any], name: str, default: int) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) and value > 0 else default


def _passes(message: Message, key: dict[str, Any], where: dict[str, Any]) -> bool:
    return (
        key.get("id") in (None, None, message.id)
        and key.get("remoteJid") in (None, None, message.chat)
        and key.get("fromMe") in (None, None, message.from_me)
        and where.get("messageType") in (None, None, message.message_type)
        and where.get("source") in (None, None, message.source)
    )
