"""Signatures against the example of the specification, and against a computation of our own in ``receiver``."""

import base64

from core.runtime import Runtime
from core.webhooks.outgoing.signing import conceal, headers_of, new_secret, reveal

# The test vector of the specification's reference libraries (github.com/standard-webhooks/standard-webhooks).
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_the_specification() -> None:
    found = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, [SECRET])
    assert found == {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": SIGNATURE,
    }


def test_a_secret_has_32_random_bytes() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32


def test_what_is_concealed_is_revealed(runtime: Runtime) -> None:
    del runtime  # needed, since its key encrypts
    secret = new_secret()
    assert secret not in conceal(secret)
    assert reveal(conceal(secret)) == secret
