"""The names by which core's intents are found again at a gateway."""

import secrets
import string

from core.settings.services import put_setting_once

SETTING = "payments.installation"
_ALPHABET = string.ascii_lowercase + string.digits
_LENGTH = 8


async def prefix() -> str:
    """Return how every reference of this installation begins.

    One account at a gateway may serve other programs too: what does not begin so is none of ours. What does and is not
    known was sold after a backup that was restored since.
    """
    made = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    kept = await put_setting_once(SETTING, made, "Part of the references by which gateways know our checkouts.")
    return f"recado-{kept}-"


async def new_reference() -> str:
    """Return a reference nobody has."""
    return f"{await prefix()}{secrets.token_hex(8)}"
