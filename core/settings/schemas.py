"""What a tenant decides for all campaigns: one typed part for each key of ``configurations``, with its defaults."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

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


class Configurations(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a tenant has decided, or the defaults."""

    opt_out: OptOut = OptOut()


class ConfigurationsUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parts to be replaced; absent ones stay."""

    opt_out: OptOut | UnsetType = UNSET
