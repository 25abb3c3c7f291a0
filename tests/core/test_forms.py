"""Forms that are read as they arrive."""

from collections.abc import AsyncIterator

import pytest

from core.errors import ContentTypeError, InvalidInputError, MalformedError
from core.forms import FIELD_BYTES, Form, find_boundary


def _part(name: str, content: bytes, more: str = "", header: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{header}\r\n'.encode() + content + b"\r\n"


async def _read(*parts: bytes, step: int = 7) -> tuple[Form, bytes]:
    taken = bytearray()
    body = b"".join(parts) + b"--x--\r\n"

    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    form = await Form(("name", "labels"), taken.extend).read(stream(), "x")
    return form, bytes(taken)


async def test_fields_and_file_are_read_however_the_body_is_cut() -> None:
    form, taken = await _read(
        _part("name", "Maçã".encode()),
        _part("file", b"a;b\r\n--y\r\n", '; filename="a.csv"'),
        _part("labels", "é".encode("latin-1"), header="Content-Type: text/plain; charset=latin-1\r\n"),
    )

    assert (form.filename, taken) == ("a.csv", b"a;b\r\n--y\r\n")
    assert form.fields == {"name": "Maçã", "labels": "é"}


async def test_a_file_without_a_name_is_none() -> None:
    form, _ = await _read(_part("file", b"a"))

    assert form.filename is None


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ([_part("x", b"1")], {"x": ["This field is not known."]}),
        ([_part("name", b"1"), _part("name", b"2")], {"name": ["Must have at most 1 entry."]}),
        ([_part("file", b"1"), _part("file", b"2")], {"file": ["Must have at most 1 entry."]}),
        ([_part("name", b"a" * (FIELD_BYTES + 1))], {"name": ["Must have at most 65536 characters."]}),
    ],
)
async def test_fields_that_do_not_fit_are_named(parts: list[bytes], errors: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await _read(*parts, step=4096)

    assert caught.value.errors == errors


@pytest.mark.parametrize("header", ["Content-Type: text/plain; charset=klingon\r\n", ""])
async def test_text_in_no_encoding_is_malformed(header: str) -> None:
    with pytest.raises(MalformedError):
        await _read(_part("name", b"\xff\xfe", header=header))


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed; boundary=x"])
def test_what_is_no_form_has_no_boundary(content_type: str) -> None:
    with pytest.raises(ContentTypeError):
        find_boundary(content_type)


def test_a_form_tells_its_boundary() -> None:
    assert find_boundary('multipart/form-data; boundary="a b"') == "a b"
