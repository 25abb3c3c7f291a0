"""Taking in an uploaded file as it arrives: refused by its first bytes, or as soon as it is larger than it may be."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any

import msgspec

from core.contacts.importing.file_kinds import HEAD_BYTES, UnreadableFileError, kind_of_head
from core.contacts.importing.schemas import ImportOptions, ImportRead
from core.contacts.importing.services import keep_upload
from core.contacts.importing.upload_files import FOLDER
from core.errors import InvalidInputError, TooLargeError
from core.forms import FILE, FORM_BYTES, Form, find_boundary
from core.runtime import config
from core.texts import text
from core.validation import validate

MEBIBYTE = 2**20
_JSON_FIELDS = ("labels", "mapping", "policies")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
FIELDS = tuple(name for name in ImportOptions.__struct_fields__)


async def receive_import(
    user_id: int, stream: AsyncIterator[bytes], *, content_type: str, content_length: int | None
) -> ImportRead:
    """Keep the file of a form that is being sent.

    Raises:
        ContentTypeError: It is no form with files.
        TooLargeError: The file is larger than the platform allows; told before more than that was read.
        InvalidInputError: The file holds no contacts, or a field does not fit; nothing is kept.
    """
    boundary = find_boundary(content_type)
    megabytes = config().imports.megabytes
    if content_length is not None and content_length > megabytes * MEBIBYTE + FORM_BYTES:
        raise _too_large(megabytes)
    path = config().data_folder / FOLDER / f"{secrets.token_hex(16)}.upload"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            arriving = _Arriving(file, megabytes)
            form = await Form(FIELDS, arriving.write).read(stream, boundary)
        options = _read_options(form)
        return await keep_upload(user_id, path, form.filename or "", options)
    finally:
        _remove(path)


class _Arriving:
    """Writes a file part by part."""

    def __init__(self, file: IO[bytes], megabytes: int) -> None:
        self._file = file
        self._megabytes = megabytes
        self._size = 0
        self._head = b""

    def write(self, part: bytes) -> None:
        """Take the next part; what cannot hold contacts is refused by its head."""
        self._size += len(part)
        if self._size > self._megabytes * MEBIBYTE:
            raise _too_large(self._megabytes)
        if len(self._head) < HEAD_BYTES:
            self._head += part[:HEAD_BYTES]
            if len(self._head) >= HEAD_BYTES:
                _ensure_table(self._head[:HEAD_BYTES])
        self._file.write(part)


def _ensure_table(head: bytes) -> None:
    try:
        kind_of_head(head)
    except UnreadableFileError as error:
        raise InvalidInputError({FILE: [error.args[0]]}) from None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _too_large(megabytes: int) -> TooLargeError:
    return TooLargeError(
        f"The file is too large: a file of contacts may have at most {megabytes} MiB.",
        code="import_too_large",
        megabytes=megabytes,
    )


def _read_options(form: Form) -> ImportOptions:
    """Return the options of an upload; raises ``InvalidInputError`` with every field that is wrong."""
    errors: dict[str, list[str]] = {}
    if form.filename is None:
        errors[FILE] = [text("required")]
    written: dict[str, Any] = dict(form.fields)
    for name in ("encoding", "delimiter", "sheet", "labels", "mapping", "policies", "header", "start", "public_id"):
        # A form sends what was left empty as an empty text.
        if written.get(name) == "":
            del written[name]
    if "public_id" in written and written["public_id"].isdecimal():
        written["public_id"] = int(written["public_id"])
    if "labels" in written and not written["labels"].lstrip().startswith("["):
        written["labels"] = f"[{written['labels']}]"
    if written.get("delimiter") in {"tab", "\\t"}:
        written["delimiter"] = "\t"
    written.update({name: _json(written[name]) for name in _JSON_FIELDS if name in written})
    written.update(
        {name: _TRUTHS.get(written[name].lower(), written[name]) for name in ("start", "header") if name in written}
    )
    try:
        options = validate(ImportOptions, written)
    except InvalidInputError as error:
        errors.update(error.errors)
        options = None
    if errors or not isinstance(options, ImportOptions):
        raise InvalidInputError(errors)
    return options


def _json(written: str) -> Any:
    """Decode a field that holds JSON; what is none stays a text, which no such field accepts."""
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError):
        return written
