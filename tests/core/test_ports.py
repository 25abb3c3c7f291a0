import socket

import pytest

from core.errors import OperatorError
from core.ports import check_port, find_port


def test_a_free_port_is_fine() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    check_port("127.0.0.1", port, "[server] port")


@pytest.mark.parametrize("host", ["203.0.113.1", "2001:db8::1", "no host"])
def test_a_foreign_address_is_told(host: str) -> None:
    with pytest.raises(OperatorError, match=r"cannot be listened on \(.*\): set \[server\] host and port\."):
        check_port(host, 8000, "[server] port")


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(OperatorError, match=rf"Port {port} on 127\.0\.0\.1 is taken: stop what uses it, or set x"):
            check_port("127.0.0.1", port, "x")


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = find_port("127.0.0.1", port)

        assert found != port
        check_port("127.0.0.1", found, "unused")

    assert find_port("127.0.0.1", found) == found
