"""``recado check --email``: a mail that tries whether mails leave, through every notifier that sends some."""

import secrets
from collections.abc import AsyncIterator
from functools import partial

from core.checks import Checkup, Result, ask
from core.notifications.emails.brand import brand_for
from core.notifications.emails.drawing import draw_probe
from core.plugin import Notification, Notifier
from core.texts import ENGLISH

KIND = "probe"


async def probe(checkup: Checkup, address: str) -> AsyncIterator[Result]:
    """Send a mail to ``address`` through each e-mail notifier, and say what became of it."""
    notifiers = [found for found in checkup.providers.notifiers_by_name.values() if found.channel == "email"]
    if not notifiers:
        yield Result("problem", "e-mail", f"nothing can send an e-mail to {address}: add [plugins.smtp]")
        return
    drawn = draw_probe(await brand_for(checkup.config), ENGLISH)
    for notifier in notifiers:
        # A key of its own each time, for a mail with the key of an earlier one may be taken for the same.
        notification = Notification(
            key=f"{KIND}:{secrets.token_hex(8)}",
            kind=KIND,
            user_id=0,
            recipient=address,
            subject=drawn.subject,
            text=drawn.text,
            html=drawn.html,
        )
        yield await ask(f"e-mail {notifier.name}", partial(_send, notifier, notification))


async def _send(notifier: Notifier, notification: Notification) -> str:
    await notifier.send(notification, _nothing)
    return f"taken for {notification.recipient}: look whether it arrives"


async def _nothing() -> None:
    """Keep no note of the hand-over: nobody sends a probe again by itself."""
