"""The variables of a message as they are frozen for one contact, in SQL, for the freeze and the preview alike."""

NAME_VARIABLES = ("nome", "name", "nombre")
NUMBER_VARIABLES = ("numero", "number", "telefone", "phone")


def variables_of(names: str, name_variables: str, number_variables: str) -> str:
    """Return the expression for the variables of a contact ``f``; the arguments are parameters of type ``text[]``."""
    return (
        f"(SELECT jsonb_object_agg(n, coalesce(CASE WHEN n = ANY({name_variables}::text[]) THEN f.name"
        f" WHEN n = ANY({number_variables}::text[]) THEN f.number ELSE f.variables ->> n END, ''))"
        f" FROM unnest({names}::text[]) n)"
    )
