"""Contacts: making, changing and deleting them, one at a time."""

from collections.abc import Mapping

from msgspec import UNSET

from core import database
from core.audit import services as audit
from core.contacts.addresses import address_errors, block_listed_groups, put_addresses, refuse_taken_addresses
from core.contacts.country_settings import DEFAULT_COUNTRY, in_own_country
from core.contacts.deletions import delete_rows, open_deletion
from core.contacts.labels import ensure_labels
from core.contacts.numbers import UnusableNumberError, is_country, normalize_number
from core.contacts.queries import DECIDED, get_contact, lock_contact
from core.contacts.schemas import OWN_FIELDS, ContactCreate, ContactRead, ContactUpdate
from core.contacts.suppressions import block_suppressed, remember_blocked
from core.contacts.tables import ContactType
from core.contacts.variables import remember_names
from core.errors import ConflictError, InvalidInputError
from core.plans import services as plans
from core.texts import text
from core.trail import present_trail
from core.versions import ensure_match


async def create_contact(user_id: int, new: ContactCreate) -> ContactRead:
    """Make a contact.

    Raises:
        InvalidInputError: With every field that cannot be accepted.
        PlanLimitError: The plan allows no further contact.
        ConflictError: One with this number or address exists; its id is named.
    """
    new = await in_own_country(user_id, new)
    number = _check(new)
    async with database.unit_of_work():
        await ensure_labels(user_id, new.labels, "labels")
        # Serialises the tenant's changes of numbers, so the look-ups below hold until the commit.
        await plans.limits_of(user_id, lock=True)
        await _refuse_taken_number(user_id, number)
        await refuse_taken_addresses(user_id, new.addresses)
        await plans.ensure_within(user_id, "contacts")
        contact_id = await database.fetch_value(
            "INSERT INTO contacts (user_id, number, name, variables, labels, type, status, source,"
            " created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now(), now()) RETURNING id",
            user_id,
            number,
            _one_line(new.name),
            database.encode_json(new.variables),
            database.encode_json(list(dict.fromkeys(new.labels))),
            new.type,
            new.status,
            "manual" if present_trail().api_key_id is None else "api",
        )
        if not isinstance(contact_id, int):
            raise TypeError("INSERT gave no id")
        await put_addresses(contact_id, new.addresses)
        await _stay_out(user_id, contact_id, new.type, number, new.addresses)
        await remember_names(user_id, new.variables)
        await audit.record("contact.created", user_id=user_id, entity_id=contact_id)
        return await get_contact(user_id, contact_id)


async def update_contact(
    user_id: int, contact_id: int, changes: ContactUpdate, if_match: str | None = None
) -> ContactRead:
    """Change a contact; raises as ``create_contact`` does, ``NotFoundError``, and as ``ensure_match`` does."""
    changes = await in_own_country(user_id, changes)
    async with database.unit_of_work():
        await plans.limits_of(user_id, lock=True)
        present = await lock_contact(user_id, contact_id)
        ensure_match(if_match, present.version)
        number, addresses = _changed_identity(present, changes)
        if (number, addresses) != (present.number, present.addresses):
            await _change_identity(user_id, present, number, addresses)
        labels = present.labels if changes.labels is UNSET else list(dict.fromkeys(changes.labels))
        await ensure_labels(user_id, set(labels) - set(present.labels), "labels")
        await database.execute(
            "UPDATE contacts SET name = $3, variables = $4, labels = $5, status = $6, updated_at = now()"
            " WHERE id = $1 AND user_id = $2",
            contact_id,
            user_id,
            present.name if changes.name is UNSET else _one_line(changes.name),
            database.encode_json(present.variables if changes.variables is UNSET else changes.variables),
            database.encode_json(labels),
            present.status if changes.status is UNSET else changes.status,
        )
        await remember_names(user_id, () if changes.variables is UNSET else changes.variables)
        changed = await get_contact(user_id, contact_id)
        await audit.record(
            "contact.updated",
            user_id=user_id,
            entity_id=contact_id,
            changes=audit.differences(present, changed, *DECIDED),
        )
        return changed


async def _change_identity(
    user_id: int, present: ContactRead, number: str | None, addresses: Mapping[str, str]
) -> None:
    """Give a contact another number or other addresses; what the old ones opted out of, they stay out of."""
    if number != present.number:
        await _refuse_taken_number(user_id, number)
    await refuse_taken_addresses(user_id, addresses, but=present.id)
    await remember_blocked(user_id, [present.id])
    await database.execute(
        "UPDATE contacts SET number = $3 WHERE id = $1 AND user_id = $2", present.id, user_id, number
    )
    if addresses != present.addresses:
        await put_addresses(present.id, addresses)
    await _stay_out(user_id, present.id, present.type, number, addresses)


async def delete_contact(user_id: int, contact_id: int, if_match: str | None = None) -> None:
    """Delete a contact, which can be undone; whoever opted out stays so, should they become a contact again.

    Raises:
        NotFoundError: No such contact.
        PreconditionError: It has another version than ``if_match``.
    """
    async with database.unit_of_work():
        present = await lock_contact(user_id, contact_id)
        ensure_match(if_match, present.version)
        deletion_id = await open_deletion(user_id)
        await delete_rows(user_id, deletion_id, [contact_id])
        facts = {"deletion_id": deletion_id}
        await audit.record("contact.deleted", user_id=user_id, entity_id=contact_id, facts=facts)


async def _stay_out(user_id: int, contact_id: int, kind: int, number: str | None, addresses: Mapping[str, str]) -> None:
    """Block a contact that was just made or got another number or address, when that opted out or is blocked."""
    if kind == ContactType.GROUP:
        await block_listed_groups(user_id, [contact_id])
    else:
        await block_suppressed(user_id, [number or "", *addresses.values()])


def read_number(written: str, country: str | None) -> tuple[str | None, dict[str, list[str]]]:
    """Return the E.164 digits of a number in a request, and the errors of its fields."""
    country = country or DEFAULT_COUNTRY
    if not is_country(country):
        return None, {"country": [text("no_such_country")]}
    try:
        return normalize_number(written, country), {}
    except UnusableNumberError as error:
        return None, {"number": [error.args[0]]}


def _check(new: ContactCreate) -> str | None:
    """Return the number of a new contact; raises ``InvalidInputError`` with everything that is wrong."""
    errors = _variable_errors(new.variables)
    kind = ContactType(new.type)
    number = None
    if kind is ContactType.GROUP:
        if new.number is not None:
            errors["number"] = [text("group_number")]
        if not new.addresses:
            errors["addresses"] = [text("required")]
    elif new.number is not None:
        number, found = read_number(new.number, new.country)
        errors.update(found)
    elif not new.addresses:
        errors["number"] = [text("required")]
    errors.update(address_errors(kind, new.addresses))
    if errors:
        raise InvalidInputError(errors)
    return number


def _changed_identity(present: ContactRead, changes: ContactUpdate) -> tuple[str | None, Mapping[str, str]]:
    """Return the number and addresses that a contact has from now on; raises ``InvalidInputError`` as ``_check``."""
    errors = {} if changes.variables is UNSET else _variable_errors(changes.variables)
    number, addresses = present.number, present.addresses
    if changes.number is not UNSET and changes.number != present.number:
        if present.type == ContactType.GROUP:
            errors["number"] = [text("group_number")]
        else:
            number, found = read_number(changes.number, changes.country)
            errors.update(found)
    if changes.addresses is not UNSET and changes.addresses != present.addresses:
        addresses = changes.addresses
        given = {name: address for name, address in addresses.items() if present.addresses.get(name) != address}
        errors.update(address_errors(ContactType(present.type), given))
        if not addresses and number is None and "number" not in errors:
            errors["addresses"] = [text("required")]
    if errors:
        raise InvalidInputError(errors)
    return number, addresses


def _variable_errors(variables: Mapping[str, str]) -> dict[str, list[str]]:
    return {f"variables.{name}": [text("own_field")] for name in variables if name.lower() in OWN_FIELDS}


def _one_line(name: str) -> str:
    return " ".join(name.split())


async def _refuse_taken_number(user_id: int, number: str | None) -> None:
    taken = await database.fetch_value(
        "SELECT id FROM contacts WHERE user_id = $1 AND number = $2 AND deleted_at IS NULL", user_id, number
    )
    if taken is not None:
        raise ConflictError(text("contact_has_number", id=taken), code="contact_exists", id=taken)
