"""The signatures are those of the documentation's worked examples, and of Pusher's own library for Python.

The library (``pusher`` 3.3.4) made the second group with the same app and the clock at 1353088179.
"""

import pytest

from core.plugin import Secret
from plugins.pusher.signing import sign_request, sign_subscription

KEY = "278d425bdf160c739803"
SECRET = Secret("7ad3773142a6692b25b8")
AT = 1353088179
DOCUMENTED = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
EVENT = (
    rb'{"name": "notification.created", "channels": ["private-user-7"], "data": "{\"id\":\"evt_1\",'
    rb'\"type\":\"notification.created\",\"data\":{\"text\":\"Ol\u00e1 \ud83d\udc4b\"}}"}'
)
BATCH = (
    rb'{"batch": [{"channel": "private-user-7", "name": "campaign.progress", "data": "{\"id\":\"evt_1\"}"},'
    rb' {"channel": "private-user-8", "name": "job.progress", "data": "{\"id\":\"evt_2\"}"}]}'
)


@pytest.mark.parametrize(
    ("resource", "body", "md5", "signature"),
    [
        (
            "events",
            DOCUMENTED,
            "ec365a775a4cd0599faeb73354201b6f",
            "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c",
        ),
        (
            "events",
            EVENT,
            "e0877d51b32d2e0996d06bb909f800e5",
            "df067f900eb9c94e658d4b0e7f1868332ec87bed914f7c5703147ccd51be625a",
        ),
        (
            "batch_events",
            BATCH,
            "9f11c613b9a5dc6b5262c58b680974aa",
            "285135624ab50e81cca354580cb3960852568e98b92d617f788276af37b53788",
        ),
    ],
    ids=["documentation", "event", "batch"],
)
def test_a_request_with_a_body(resource: str, body: bytes, md5: str, signature: str) -> None:
    assert sign_request("POST", f"/apps/3/{resource}", body, key=KEY, secret=SECRET, at=AT) == {
        "auth_key": KEY,
        "auth_timestamp": "1353088179",
        "auth_version": "1.0",
        "body_md5": md5,
        "auth_signature": signature,
    }


def test_a_request_without_a_body_names_none() -> None:
    query = sign_request("GET", "/apps/3/channels", b"", key=KEY, secret=SECRET, at=AT)

    assert sorted(query) == ["auth_key", "auth_signature", "auth_timestamp", "auth_version"]


@pytest.mark.parametrize(
    ("socket_id", "channel", "signature"),
    [
        ("1234.1234", "private-foobar", "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"),
        ("1234.5678", "private-user-7", "8712fbb3b3967cb9eb7d92d0d28691403d0b819e15adb20a6c517f92ec29a426"),
    ],
    ids=["documentation", "library"],
)
def test_a_subscription(socket_id: str, channel: str, signature: str) -> None:
    assert sign_subscription(socket_id, channel, key=KEY, secret=SECRET) == f"{KEY}:{signature}"
