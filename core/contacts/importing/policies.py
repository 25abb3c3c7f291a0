"""What an import does to contacts that exist already: for each field they keep it, or the file fills or replaces it."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

import msgspec

from core.contacts.importing.headers import LABELS, NAME, VARIABLE
from core.contacts.importing.rows import Row
from core.texts import Text, text

Policy = Literal["keep", "fill", "overwrite"]
LabelPolicy = Literal["keep", "add", "replace"]
Duplicates = Literal["fill", "skip", "overwrite"]

VARIABLES = "variables"
FIELD_POLICIES: tuple[Policy, ...] = ("keep", "fill", "overwrite")
LABEL_POLICIES: tuple[LabelPolicy, ...] = ("keep", "add", "replace")

FieldPolicies = Annotated[
    dict[str, str],
    msgspec.Meta(
        max_length=60,
        description="`name`, `variables` or `variables.<name>` to `keep`, `fill` or `overwrite`;"
        " `labels` to `keep`, `add` or `replace`.",
    ),
]


class Policies(msgspec.Struct, frozen=True):
    """What happens to each field of a contact that exists; an empty cell of the file never changes anything."""

    name: Policy
    variables: Policy
    labels: LabelPolicy
    by_variable: dict[str, Policy]
    """Of variables that are treated in another way than the rest."""

    def of_variable(self, name: str) -> Policy:
        """Say what happens to one variable."""
        return self.by_variable.get(name, self.variables)


def policies_of(duplicates: Duplicates, chosen: Mapping[str, str]) -> Policies:
    """Return what happens to each field: as ``duplicates`` says for all of them, but for those that are ``chosen``."""
    usual: Policy = "keep" if duplicates == "skip" else duplicates
    by_variable = {
        field.removeprefix(VARIABLE): policy for field, policy in chosen.items() if field.startswith(VARIABLE)
    }
    return msgspec.convert(
        {
            "name": chosen.get(NAME, usual),
            "variables": chosen.get(VARIABLES, usual),
            "labels": chosen.get(LABELS, "keep" if duplicates == "skip" else "add"),
            "by_variable": by_variable,
        },
        Policies,
    )


def merge_row(first: Row, later: Row, policies: Policies, *, common: bool = False) -> bool:
    """Let a later row change what its number has already, and return whether it did; storing does the same in SQL.

    ``common`` says whether the import puts labels on every row beside those of ``later``.
    """
    before = (first.name, dict(first.variables), set(first.labels))
    if later.name and (policies.name == "overwrite" or (policies.name == "fill" and not first.name)):
        first.name = later.name
    for name, value in later.variables.items():
        policy = policies.of_variable(name)
        if policy == "overwrite" or (policy == "fill" and not first.variables.get(name)):
            first.variables[name] = value
    if policies.labels == "add":
        first.labels += [label for label in later.labels if label not in first.labels]
    elif policies.labels == "replace" and (later.labels or common):
        first.labels = list(later.labels)
    return before != (first.name, first.variables, set(first.labels))


def policy_errors(chosen: Mapping[str, str], fields: Collection[str]) -> dict[str, list[Text]]:
    """Return what is wrong with the chosen policies of a file whose columns mean ``fields``."""
    errors: dict[str, list[Text]] = {}
    for field, policy in chosen.items():
        allowed = LABEL_POLICIES if field == LABELS else FIELD_POLICIES
        if field not in {NAME, LABELS, VARIABLES} and (not field.startswith(VARIABLE) or field not in fields):
            errors[f"policies.{field}"] = [text("policy_field")]
        elif policy not in allowed:
            errors[f"policies.{field}"] = [text("policy_unknown", listed=", ".join(allowed))]
    return errors
