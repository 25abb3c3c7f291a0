"""Addresses, and texts for headers, as SMTP and mails may hold them."""

import re
import unicodedata

import idna

_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x20\x7f]{1,64}@([^\s@<>()\[\]\\,;:\"\x00-\x20\x7f]{1,255})")
"""A dot-atom of RFC 5322 with the signs of RFC 6531; nobody has the quoted kind."""
_LONGEST = 254
_BREAKING = {"Cc", "Zl", "Zp", "Cs"}
"""Controls, separators of lines and paragraphs, halves of signs; not the marks that order right-to-left text."""


def read_address(text: str) -> str | None:
    """Return an address with its domain in ASCII, ``None`` where ``text`` is none.

    IDNA 2008 (RFC 5891), read as UTS 46 says: where the older one made ``strasse.de`` of ``straße.de``, these are two
    domains, which may have two owners.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or any(unicodedata.category(sign) in _BREAKING for sign in text):
        return None
    local, _, domain = text.rpartition("@")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        return None
    try:
        address = f"{local}@{_in_ascii(domain)}"
    except UnicodeError:
        return None
    return address if len(address.encode()) <= _LONGEST else None


def _in_ascii(domain: str) -> str:
    # Names in ASCII are as old as the system, and not all of them keep the rules of IDNA: signs such as "_" among them.
    return domain.encode("idna").decode() if domain.isascii() else idna.encode(domain, uts46=True).decode()


def one_line(text: str) -> str:
    """Return ``text`` with a space for whatever could end a header."""
    return "".join(" " if unicodedata.category(sign) in _BREAKING else sign for sign in text).strip()


def printable(text: str) -> str:
    """Return ``text`` without the controls that no mail may hold; its lines stay."""
    return "".join(
        sign
        for sign in text.replace("\r\n", "\n").replace("\r", "\n")
        if sign in "\n\t" or unicodedata.category(sign) not in {"Cc", "Cs"}
    )
