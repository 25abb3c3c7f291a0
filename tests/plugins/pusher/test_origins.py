"""Addresses of compatible servers, right and wrong."""

import pytest

from plugins.pusher.origins import Origin, parse_origin


@pytest.mark.parametrize(
    ("text", "origin", "written"),
    [
        ("http://127.0.0.1:6001", Origin("http", "127.0.0.1", 6001), "http://127.0.0.1:6001"),
        ("http://soketi", Origin("http", "soketi", 80), "http://soketi"),
        ("https://Live.Example.com", Origin("https", "live.example.com", 443), "https://live.example.com"),
        ("https://live.example:443", Origin("https", "live.example", 443), "https://live.example"),
        ("http://live.example:443", Origin("http", "live.example", 443), "http://live.example:443"),
        ("http://my_soketi:65535", Origin("http", "my_soketi", 65535), "http://my_soketi:65535"),
        ("http://[::1]:6001", Origin("http", "[::1]", 6001), "http://[::1]:6001"),
        ("https://[2001:DB8::0:1]", Origin("https", "[2001:db8::1]", 443), "https://[2001:db8::1]"),
        ("https://ação.example", Origin("https", "xn--ao-siap.example", 443), "https://xn--ao-siap.example"),
    ],
)
def test_an_address_is_read(text: str, origin: Origin, written: str) -> None:
    assert parse_origin("host", text) == origin
    assert str(origin) == written


@pytest.mark.parametrize(
    "text",
    [
        *("http://x:99999", "https://x:abc", "http://x:-1", "http://x:0", "http://:6001", "http://", "http://."),
        *("http://[::1", "http://::1:6001", "http://[x]:6001", "http://[]", "http://[::1%eth0]:6001", "http://[::1]x"),
        *("http://a..b", "http://-x", "http://x-", "http://a,b", "http://a\\b", "http://<x>", "http://x" + "y" * 63),
        *("http://x/", "http://x?y=1", "http://x#y", "http://user@x", "ws://x", "x:6001", ""),
    ],
)
def test_what_is_no_address_is_refused_by_its_setting(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"^public_host is .*; enter the scheme, the host and.* http://127\.0\.0\.1:6001"
    ):
        parse_origin("public_host", text)
