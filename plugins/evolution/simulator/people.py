"""What a number knows and is like: its contacts, chats and groups, and the settings of its instance."""

from typing import Any

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.addresses import PERSON
from plugins.evolution.simulator.faults import connection_closed
from plugins.evolution.simulator.http import Refused, Reply, Request, Router, error_reply, invalid, json_reply
from plugins.evolution.simulator.state import Group, Instance, Message, State

_PAGED_SINCE = (2, 3, 0)
_SETTINGS = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
_FIRST_SETTINGS = (
    *("reject_call", "groups_ignore", "always_online", "read_messages", "read_status"),
    "sync_full_history",
)


class People:
    """The calls of contacts, chats, groups and settings."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self, router: Router) -> None:
        """Add the calls."""
        is_v1 = self._state.options.is_v1
        router.add("GET" if is_v1 else "POST", "/chat/findChats/{instance}", self._chats)
        router.add("POST", "/chat/findContacts/{instance}", self._contacts)
        router.add("GET", "/group/fetchAllGroups/{instance}", self._groups)
        router.add("GET", "/settings/find/{instance}", self._find_settings)
        router.add("POST", "/settings/set/{instance}", self._set_settings)

    def _instance(self, request: Request) -> Instance:
        return self._state.instances[request.names["instance"]]

    async def _chats(self, request: Request) -> Reply:
        """Answer with the addresses that the instance wrote to or heard from, the latest first, and what came last."""
        instance, latest = self._instance(request), dict[str, Message]()
        for one in self._state.stored(instance.name):
            latest.setdefault(one.chat, one)
        return json_reply([shapes.chat(one, instance, self._state.options) for one in latest.values()])

    async def _contacts(self, request: Request) -> Reply:
        """Answer with all contacts, or those of an address; from 2.3 on in pages, whose size is called ``offset``."""
        options, instance, fields = self._state.options, self._instance(request), request.fields()
        where = fields.get("where")
        wanted = where.get("id" if options.is_v1 else "remoteJid") if isinstance(where, dict) else None
        rows = [
            shapes.contact(address, name, instance, options)
            for (owner, address), name in self._state.contacts.items()
            if owner == instance.name and wanted in (None, None, address)
        ]
        size, page = fields.get("offset"), fields.get("page")
        if options.parsed_version >= _PAGED_SINCE and isinstance(size, int) and size > 0:
            begin = (page - 1) * size if isinstance(page, int) and page > 0 else 0
            rows = rows[begin : begin + size]
        return json_reply(rows)

    async def _groups(self, request: Request) -> Reply:
        """Answer with the groups of a connected number; v1 says nothing at all where it ignores them."""
        options, instance = self._state.options, self._instance(request)
        wanted = request.query.get("getParticipants")
        if not wanted:
            return error_reply(400, ["The getParticipants needs to be informed in the query"])
        if options.is_v1 and instance.ignores_groups:
            return Reply(200)
        if instance.state != "open":
            closed = error_reply(404, ["Error fetching group", "Error: Connection Closed"])
            return closed if options.is_v1 else connection_closed()
        found = [group for (owner, _), group in self._state.groups.items() if owner == instance.name]
        return json_reply([self._shown(group, options.is_v1, with_members=wanted == "true") for group in found])

    def _shown(self, group: Group, is_v1: bool, *, with_members: bool) -> dict[str, Any]:  # noqa: FBT001 - the dialect
        shown = shapes.group(group, is_v1=is_v1)
        members = [{"id": f"{phone}{PERSON}", "admin": None} for phone in group.members]
        return {**shown, "participants": members} if with_members else shown

    async def _find_settings(self, request: Request) -> Reply:
        return json_reply(self._instance(request).settings)

    async def _set_settings(self, request: Request) -> Reply:
        instance, fields = self._instance(request), request.fields()
        names = setting_names(is_v1=self._state.options.is_v1)
        missing = [name for name in names if name not in fields]
        if missing:
            raise Refused(invalid(*(f'instance requires property "{name}"' for name in missing)))
        wrong = [name for name in names if not isinstance(fields[name], bool)]
        if wrong:
            raise Refused(invalid(*(f"{name} is not of a type(s) boolean" for name in wrong)))
        kept = (*names, "msgCall", "msg_call", "wavoipToken")
        instance.settings = {name: value for name, value in fields.items() if name in kept}
        return json_reply({"settings": {"instanceName": instance.name, "settings": instance.settings}}, 201)


def setting_names(*, is_v1: bool) -> tuple[str, ...]:
    """Return the names of the settings that have to be given."""
    return _FIRST_SETTINGS if is_v1 else _SETTINGS


def created_settings(fields: dict[str, Any], *, is_v1: bool) -> dict[str, Any]:
    """Return the settings of a creation; v1 ignores groups whatever it is asked for."""
    settings: dict[str, Any] = {name: fields.get(name) is True for name in setting_names(is_v1=is_v1)}
    return {**settings, "msg_call": "", "groups_ignore": True} if is_v1 else {**settings, "msgCall": ""}
