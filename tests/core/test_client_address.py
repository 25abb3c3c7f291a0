"""The caller's address behind proxies."""

import pytest

from core.client_address import client_address

PROXIES = ("10.0.0.0/8", "::1")


def scope(client: tuple[str, int] | None, *forwarded: str) -> dict[str, object]:
    return {"client": client, "headers": [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),
        ("10.0.0.2", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.2", ("1.1.1.1, 198.51.100.1, 10.0.0.3",), "198.51.100.1"),
        ("10.0.0.2", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),
        ("::1", ("2001:db8::5",), "2001:db8::5"),
        ("10.0.0.2", ("10.0.0.9",), "10.0.0.9"),
        ("10.0.0.2", ("nonsense",), ""),
        ("10.0.0.2", ("",), ""),
        ("testclient", (), ""),
    ],
)
def test_address(client: str, forwarded: tuple[str, ...], address: str) -> None:
    assert client_address(scope((client, 1), *forwarded), PROXIES) == address  # type: ignore[arg-type]


def test_socket_without_address() -> None:
    assert client_address(scope(None), PROXIES) == ""  # type: ignore[arg-type]


def test_no_proxy_is_trusted_by_default() -> None:
    assert client_address(scope(("10.0.0.2", 1), "1.1.1.1"), ()) == "10.0.0.2"  # type: ignore[arg-type]
