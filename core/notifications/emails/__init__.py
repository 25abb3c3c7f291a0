"""The e-mails: a notification in HTML and in text, in the look of the installation."""

from collections.abc import Sequence

import msgspec

from core.notifications.emails.brand import read_brand
from core.notifications.emails.drawing import Rendered, draw

__all__ = ["Rendered", "render"]


async def render(kind: str, details: Sequence[msgspec.Struct], *, name: str, language: str, timezone: str) -> Rendered:
    """Return the mail to one person about one kind: one thing, or several folded into one mail.

    ``details`` have the kind's shape, the oldest first; ``name`` is the person's, as they wrote it.

    Raises:
        KeyError: There is no such kind.
        ValueError: ``details`` is empty.
    """
    return draw(kind, details, brand=await read_brand(), name=name, reader=(language, timezone))
