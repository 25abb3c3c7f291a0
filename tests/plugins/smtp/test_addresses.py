"""Addresses: the domain is the one that was named."""

import pytest

from plugins.smtp.addresses import read_address


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        # IDNA 2003 made strasse.de of it, where somebody else reads the mail.
        ("ana@straße.de", "ana@xn--strae-oqa.de"),
        ("ana@Exämple.com", "ana@xn--exmple-cua.com"),
        ("ana@faß.ExAmple", "ana@xn--fa-hia.example"),
        ("ana@exämple\u3002com", "ana@xn--exmple-cua.com"),
        ("ana@my_mail.Example.com", "ana@my_mail.Example.com"),
    ],
)
def test_domains_are_those_that_were_named(given: str, asked: str) -> None:
    assert read_address(given) == asked


@pytest.mark.parametrize("given", ["ana@ex\u2260mple.com", f"ana@{'ä' * 64}.com", "ana@-ä.com", "ana@ä..com"])
def test_domains_that_cannot_be_are_none(given: str) -> None:
    assert read_address(given) is None
