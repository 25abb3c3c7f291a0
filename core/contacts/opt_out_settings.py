"""How people stop a tenant's messages by writing back: the words that count, and what is answered."""

from typing import Annotated

import msgspec
from msgspec import Meta

from core import database
from core.settings.services import get_configuration, put_configuration, remove_configuration

KEY = "opt_out"

Word = Annotated[str, Meta(min_length=2, max_length=60)]
DEFAULT_WORDS: tuple[str, ...] = (
    "sair",
    "parar",
    "pare",
    "cancelar",
    "descadastrar",
    "remover",
    "stop",
    "unsubscribe",
    "baja",
    "darme de baja",
    "salir",
)
"""In the three languages; each alone, as people answer."""


class OptOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How people stop the messages of this tenant by writing back."""

    words: Annotated[tuple[Word, ...], Meta(max_length=50)] = DEFAULT_WORDS
    """Words or phrases that, written alone, block their sender; case, accents and a slip of the finger are forgiven."""
    confirmation: Annotated[str, Meta(max_length=1000)] = ""
    """Sent once to whoever opted out; empty sends nothing."""


async def opt_out_of(user_id: int) -> OptOut:
    """Return what the tenant decided, else the platform's words and no answer."""
    stored = await get_configuration(user_id, KEY)
    return OptOut() if stored is None else msgspec.json.decode(stored, type=OptOut)


async def set_opt_out(user_id: int, wanted: OptOut | None) -> None:
    """Set the tenant's words and answer; ``None`` goes back to the platform's."""
    if wanted is None:
        await remove_configuration(user_id, KEY)
    else:
        await put_configuration(user_id, KEY, database.encode_json(wanted))
