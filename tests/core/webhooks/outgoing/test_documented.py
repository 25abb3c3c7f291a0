"""The verifiers that the documentation gives to receivers, run as they are printed there."""

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.webhooks.outgoing.signing import headers_of, new_secret

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "receive-webhooks.md"
BODY = '{"id":"evt_1","data":{"text":"Olá 🎉"}}'.encode()
ID = "evt_1"

Verify = Callable[[Mapping[str, str], bytes, str], bool]


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(params=["python", "javascript"])
def verify(request: pytest.FixtureRequest, tmp_path: Path) -> Verify:
    if request.param == "python":
        names: dict[str, Any] = {}
        exec(block("python"), names)  # noqa: S102 - our own page
        return names["verify"]  # type: ignore[no-any-return]
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node on this machine")
    (tmp_path / "verify.js").write_text(block("javascript"), encoding="utf-8")
    script = (
        "const [headers, body, secret] = JSON.parse(process.argv[1]);"
        "console.log(require('./verify.js').verify(headers, Buffer.from(body, 'base64'), secret))"
    )

    def run(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        given = json.dumps([dict(headers), base64.b64encode(body).decode(), secret])
        done = subprocess.run([node, "-e", script, given], cwd=tmp_path, capture_output=True, text=True, check=True)
        return {"true": True, "false": False}[done.stdout.strip()]

    return run


def signed(*secrets: str, age: int = 0) -> dict[str, str]:
    """Headers as a receiver's framework gives them, in lower case."""
    made = headers_of(ID, int(time.time()) - age, BODY, secrets)
    return {name.lower(): value for name, value in made.items()}


def test_a_genuine_one_is_taken(verify: Verify) -> None:
    secret = new_secret()
    assert verify(signed(secret), BODY, secret) is True


def test_either_secret_will_do_while_it_is_replaced(verify: Verify) -> None:
    new, old = new_secret(), new_secret()
    assert [verify(signed(new, old), BODY, secret) for secret in (new, old)] == [True, True]


def test_another_body_secret_id_or_time_is_refused(verify: Verify) -> None:
    secret = new_secret()
    headers = signed(secret)
    answers = [
        verify(headers, BODY + b" ", secret),
        verify(headers, BODY, new_secret()),
        verify({**headers, "webhook-id": "evt_2"}, BODY, secret),
        verify({**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, BODY, secret),
    ]
    assert answers == [False, False, False, False]


def test_an_old_one_is_refused(verify: Verify) -> None:
    secret = new_secret()
    assert verify(signed(secret, age=301), BODY, secret) is False


@pytest.mark.parametrize("headers", [{}, {"webhook-timestamp": "x"}, {"webhook-signature": "é ,v1,"}])
def test_what_is_no_delivery_is_refused(verify: Verify, headers: dict[str, str]) -> None:
    assert verify({**signed(new_secret()), **headers} if headers else {}, BODY, new_secret()) is False
