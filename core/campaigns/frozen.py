"""The variables of a message as they are frozen for one contact, in SQL, for the freeze and the preview alike."""

from collections.abc import Sequence

NAME_VARIABLES = ("nome", "name", "nombre")
NUMBER_VARIABLES = ("numero", "number", "telefone", "phone")


_MOST_PAIRS = 40
"""A function of PostgreSQL takes at most 100 arguments."""


def variables_of(names: Sequence[str], parameter: str) -> str:
    """Return the expression for the variables of a contact ``f``: ``jsonb``, ``NULL`` without any.

    ``parameter``, such as ``$3``, is given ``names`` as ``text[]``; no name ever stands in the statement itself.
    """
    array = f"({parameter}::text[])"
    pairs = [f"{array}[{place}], coalesce({_value(name, array, place)}, '')" for place, name in enumerate(names, 1)]
    parts = [pairs[first : first + _MOST_PAIRS] for first in range(0, len(pairs), _MOST_PAIRS)]
    built = " || ".join(f"jsonb_build_object({', '.join(part)})" for part in parts)
    return f"CASE WHEN cardinality({array}) > 0 THEN {built or 'NULL::jsonb'} END"


def _value(name: str, array: str, place: int) -> str:
    if name in NAME_VARIABLES:
        return "f.name"
    return "f.number" if name in NUMBER_VARIABLES else f"f.variables ->> {array}[{place}]"
