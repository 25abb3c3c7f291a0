"""Where a request comes from: the connection's address, or what a trusted proxy says of it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from litestar.types import HTTPScope, Scope

Network = IPv4Network | IPv6Network


def client_address(scope: Scope, trusted_proxies: Sequence[str]) -> str:
    """Return the caller's address, or an empty string on a socket without one.

    ``X-Forwarded-For`` is read from its right end, past every proxy of ``trusted_proxies`` (addresses or networks);
    the first address that is none of them is the caller. Whatever stands further left could be made up.
    """
    client = scope.get("client")
    address = client[0] if client else ""
    networks = _networks(tuple(trusted_proxies))
    for claimed in reversed(_forwarded(scope)):
        if not _is_trusted(address, networks):
            break
        address = claimed
    return address if _is_address(address) else ""


def _forwarded(scope: HTTPScope | Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [entry.strip() for value in values for entry in value.split(",")]


@lru_cache(maxsize=4)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(entry, strict=False) for entry in trusted)


def _is_trusted(address: str, networks: tuple[Network, ...]) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
