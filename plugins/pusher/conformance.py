"""What ``recado conformance`` examines: the notifier, and what Pusher answers."""

from typing import ClassVar

from core.plugin import Secret
from core.plugin.testing import Answer, NotifierContract, NotifierSubject, Routes
from plugins.pusher.notifier import App, PusherNotifier
from plugins.pusher.origins import parse_origin

_SECRET = "secret-of-the-contract"  # noqa: S105 - of nobody


class PusherContract(NotifierContract):
    """Pusher keeps the contract of every notifier; it has no keys, and what it took twice it tells twice."""

    taken: ClassVar[Routes] = {"POST /apps/3/events": Answer(200, b"{}")}
    refused = Answer(413, b"The data content of this event exceeds the allowed maximum (10240 bytes).")
    hands_keys_on = False

    def subject(self, url: str) -> NotifierSubject:
        """Make a notifier that waits half a second."""
        server = parse_origin("host", url)
        app = App(app_id="3", key="key-of-the-contract", secret=Secret(_SECRET), server=server, timeout_seconds=0.5)
        return NotifierSubject(PusherNotifier(app), "", (_SECRET,))
