"""What a notification looks like as a mail."""

import email
import email.policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.smtp.addresses import one_line
from plugins.smtp.message import Author, build, message_id
from tests.plugins.smtp.conftest import AUTHOR, notification

HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
NAMES = [
    "Ana",
    "Zoë 👩‍👩‍👧 \u200fשלום, עולם",  # noqa: RUF001 - Hebrew
    'Ana "the boss" \\ Silva, (she) <ana@example.com>',
    "é" * 200,
    "a" * 300,
    "=?utf-8?q?not_encoded?=",
    "日本語 " * 40,
    "👨‍👩‍👧‍👦" * 30,
    "\u202eevil\u202c",
]


def _mail(author: Author = AUTHOR, **fields: str) -> tuple[bytes, EmailMessage]:
    raw = build(notification(**fields), author, "ana@example.com")
    return raw, email.message_from_bytes(raw, policy=email.policy.default)


def _read(raw: bytes, header: str) -> str:
    """Decode as RFC 2047 says; the newer parser of the standard library puts spaces between two words of a name."""
    value = email.message_from_bytes(raw, policy=email.policy.compat32)[header]
    name = parseaddr(value)[0] if header in {"To", "From"} else value.replace("\r\n", "")
    return str(make_header(decode_header(name))) if "=?" in name else name


@pytest.mark.parametrize("name", NAMES)
def test_names_and_subjects_survive(name: str) -> None:
    author = Author(address="messages@example.com", name=name)
    raw, _ = _mail(author, name=name, subject=name)

    assert [_read(raw, header) for header in ("To", "From", "Subject")] == [name.strip()] * 3
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78


@given(st.text(max_size=120), st.text(max_size=120))
@settings(max_examples=200, deadline=None)
def test_no_text_adds_a_header_or_a_recipient(name: str, subject: str) -> None:
    author = Author(address="messages@example.com", name=name)
    raw, parsed = _mail(author, name=name, subject=subject, key=name)

    assert parsed.keys() == [header for header in HEADERS if header != "Subject" or one_line(subject)]
    assert parseaddr(email.message_from_bytes(raw)["To"])[1] == "ana@example.com"
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert _read(raw, "To") == one_line(name)
    assert not one_line(subject) or _read(raw, "Subject") == one_line(subject)


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\x00"])
def test_line_ends_become_spaces(ending: str) -> None:
    hostile = f"Ana{ending}Bcc: eve@example.com"
    author = Author(address="messages@example.com", name=hostile)

    raw, parsed = _mail(author, name=hostile, subject=hostile, key=hostile)

    assert parsed.keys() == HEADERS
    assert _read(raw, "Subject") == f"Ana{' ' * len(ending)}Bcc: eve@example.com"


def test_the_text_stands_first_and_can_be_read_without_decoding() -> None:
    raw, parsed = _mail()

    assert parsed.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert [part["Content-Transfer-Encoding"] for part in parsed.iter_parts()] == ["7bit", "7bit"]
    assert b"\r\n\r\nAll 40 messages are on their way.\r\n" in raw


def test_other_languages_are_quoted_printable_with_short_lines() -> None:
    text, page = "Olá, João! 🎉\n.\nFrom me" + " palavra" * 50, "<p>" + "é" * 500 + "</p>"

    raw, parsed = _mail(text=text, html=page)

    parts = [*parsed.iter_parts()]
    assert [part["Content-Transfer-Encoding"] for part in parts] == ["quoted-printable"] * 2
    assert [part.get_content().replace("\r\n", "\n") for part in parts] == [f"{text}\n", f"{page}\n"]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78
    assert raw.isascii()


def test_without_a_page_there_is_text_alone() -> None:
    _, parsed = _mail(html="")

    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content() == "All 40 messages are on their way.\r\n"


def test_controls_do_not_reach_the_body() -> None:
    _, parsed = _mail(text="a\x00b\x07c\rd\te", html="")

    assert parsed.get_content() == "abc\r\nd\te\r\n"


def test_a_machine_wrote_it_and_answers_go_elsewhere() -> None:
    _, parsed = _mail(Author(address="messages@example.com", reply_to="help@example.com"))

    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["Reply-To"] == "help@example.com"
    assert parsed["From"] == "messages@example.com"
    assert parsed["Date"].datetime.tzinfo is not None


def test_the_message_id_is_of_the_key_and_of_our_domain() -> None:
    # Pinned: one that changed with a release would let a mail be read twice.
    assert message_id("a:1", "me@example.com") == "<2b2c40a6706d9e5f320d553628313833e3668d8b@example.com>"
    assert message_id("a:1\r\nBcc: x", "me@example.com") != message_id("a:1", "me@example.com")
