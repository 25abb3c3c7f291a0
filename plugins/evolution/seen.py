"""Marks what a person wrote as read: the messages since our last one.

No version says of a stored message whether it was read, but the server itself takes what came before a message of ours
for read (``updateMessagesReadedByTimestamp`` in
src/api/integrations/channel/whatsapp/whatsapp.baileys.service.ts). The call is a PUT with ``read_messages`` in version
1, a POST with ``readMessages`` in version 2 (src/api/routes/chat.router.ts, src/validate).
"""

from collections.abc import Iterable, Sequence

from core.plugin import MessageStatus, Sender
from plugins.evolution.connection import QUICK_SECONDS, Change, Connection, is_first, jid_of, path_of
from plugins.evolution.lookup import Lookup, StoredMessage, furthest

_DOING = "marking a chat as read"
_READ = MessageStatus.READ


class Seen:
    """The ``ReadMarks`` group of the provider."""

    def __init__(self, connection: Connection, lookup: Lookup) -> None:
        self._connection = connection
        self._lookup = lookup

    async def mark(self, sender: Sender, address: str) -> None:
        """Mark the latest messages of one chat as read; nothing is asked where there are none."""
        jid = jid_of(address)
        unread = find_unread(await self._lookup.list_chat(sender, jid))
        if not unread:
            return
        keys = [{"remoteJid": one.key.remote_jid or jid, "fromMe": False, "id": one.key.id} for one in unread]
        method, name = ("PUT", "read_messages") if is_first(sender.capabilities) else ("POST", "readMessages")
        call = Change(method, path_of("/chat/markMessageAsRead", sender), {name: keys}, QUICK_SECONDS)
        await self._connection.change(sender.server, call, doing=_DOING)


def find_unread(stored: Iterable[StoredMessage]) -> Sequence[StoredMessage]:
    """Return the last messages that came in a row, the newest first, without those that are known as read."""
    row: list[StoredMessage] = []
    for one in stored:
        if one.key.from_me:
            if row:
                break
            continue
        row.append(one)
    return [one for one in row if furthest([one.status, *(update.status for update in one.updates)]) is not _READ]
