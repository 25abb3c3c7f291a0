"""A server's credentials: checked against the provider's Struct, encrypted at rest, shown masked."""

import types
import typing
from collections.abc import Mapping

import msgspec

from core.crypto import DecryptionError, decrypt, encrypt
from core.errors import InvalidInputError
from core.plugin import MisconfiguredError, Secret
from core.texts import text
from core.validation import explain_message

MASK = "***"
FIELD = "credentials"
PURPOSE = "servers.credentials"


def decode_credentials(
    kind: type[msgspec.Struct], given: Mapping[str, object], kept: Mapping[str, object] | None = None
) -> msgspec.Struct:
    """Build ``kind`` from what was given over what is kept; the mask means the kept secret.

    Raises:
        InvalidInputError: With every problem, each as ``credentials.<field>``.
    """
    values = {**(kept or {}), **{name: value for name, value in given.items() if value != MASK}}
    errors: dict[str, list[str]] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name in given.keys() - fields.keys():
        errors[f"{FIELD}.{name}"] = [text("unknown_field")]
    for name, field in fields.items():
        if name not in values:
            if field.required:
                errors[f"{FIELD}.{name}"] = [text("required")]
            continue
        try:
            msgspec.convert(values[name], field.type, strict=True, dec_hook=_read_secret)
        except msgspec.ValidationError as error:
            errors[f"{FIELD}.{name}"] = [explain_message(str(error), field.type)]
    if errors:
        raise InvalidInputError(errors)
    try:
        # Kept values of a field that the provider has dropped since are left behind.
        known = {name: value for name, value in values.items() if name in fields}
        return msgspec.convert(known, kind, strict=True, dec_hook=_read_secret)
    except msgspec.ValidationError as error:
        raise InvalidInputError({FIELD: [explain_message(str(error))]}) from None


def seal(credentials: msgspec.Struct) -> str:
    """Encrypt credentials for the ``servers`` table."""
    return encrypt(msgspec.json.encode(credentials, enc_hook=_write_secret).decode(), purpose=PURPOSE)


def unseal(sealed: str) -> dict[str, object]:
    """Return the plain values of a row, secrets included."""
    return msgspec.json.decode(decrypt(sealed, purpose=PURPOSE), type=dict[str, object]) if sealed else {}


def unseal_readable(sealed: str) -> dict[str, object]:
    """As ``unseal``; nothing where the key is lost, so that the credentials can be entered again."""
    try:
        return unseal(sealed)
    except DecryptionError:
        return {}


def load_credentials(kind: type[msgspec.Struct], sealed: str) -> msgspec.Struct:
    """Return a row's credentials as the provider wants them.

    Raises:
        MisconfiguredError: They were stored for another version of the plugin.
    """
    try:
        return decode_credentials(kind, {}, unseal(sealed))
    except InvalidInputError as error:
        names = ", ".join(error.errors)
        raise MisconfiguredError(f"The stored credentials no longer fit ({names}): enter them again.") from None


def mask(kind: type[msgspec.Struct] | None, sealed: str) -> dict[str, object]:
    """Return a row's credentials for people: secrets as ``***``; all of them while the plugin is not there."""
    plain = unseal_readable(sealed)
    if kind is None:
        return dict.fromkeys(plain, MASK)
    secret = {field.encode_name for field in msgspec.structs.fields(kind) if _is_secret(field.type)}
    return {name: MASK if name in secret and value else value for name, value in plain.items()}


def _is_secret(annotation: object) -> bool:
    if typing.get_origin(annotation) is typing.Annotated:
        return _is_secret(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_secret(part) for part in typing.get_args(annotation))
    return annotation is Secret


def _read_secret(kind: type, value: object) -> object:
    if kind is Secret and isinstance(value, str) and value:
        return Secret(value)
    raise ValueError(text("invalid"))


def _write_secret(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} cannot be stored as a credential")
