"""Secrets at rest: AES-256-GCM under a key made from the platform's secret key, bound to what the secret is for.

An encrypted text reads ``v1.<key id>.<base64url of nonce and ciphertext>``; the id tells a wrong key from damage.
"""

import base64
import binascii
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import OperatorError
from core.runtime import runtime

VERSION = "v1"
NONCE_BYTES = 12


class DecryptionError(OperatorError):
    """A stored secret cannot be read; ``str(error)`` says why and what to do, and holds no part of it."""


def encrypt(plain: str, *, purpose: str, key: bytes | None = None) -> str:
    """Encrypt ``plain``; ``purpose`` names its column, such as ``servers.credentials``, and is needed to read it.

    ``key`` is the platform's secret key, by default that of the process.
    """
    cipher, key_id = _cipher(key if key is not None else runtime().secret_key)
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + cipher.encrypt(nonce, plain.encode(), purpose.encode())
    return f"{VERSION}.{key_id}.{base64.urlsafe_b64encode(sealed).decode()}"


def decrypt(stored: str, *, purpose: str, key: bytes | None = None) -> str:
    """Return what ``encrypt`` was given.

    Raises:
        DecryptionError: It was encrypted with another key or for another purpose, or it is damaged.
    """
    cipher, key_id = _cipher(key if key is not None else runtime().secret_key)
    version, _, rest = stored.partition(".")
    stored_id, _, encoded = rest.partition(".")
    if version != VERSION or not encoded:
        raise DecryptionError(f"A secret stored for {purpose} is not in a form this version knows.")
    if stored_id != key_id:
        raise DecryptionError(
            f"A secret stored for {purpose} was encrypted with the key {stored_id}, and the present one is {key_id}:"
            " restore [server] secret_key, or the file secret_key in the data folder, from before."
        )
    try:
        sealed = base64.b64decode(encoded, altchars=b"-_", validate=True)
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode()).decode()
    except (InvalidTag, ValueError, binascii.Error):
        raise DecryptionError(f"A secret stored for {purpose} is damaged: enter it again.") from None


@lru_cache(maxsize=8)
def signing_key(use: str, *, key: bytes) -> bytes:
    """Return 32 bytes to sign with, made from the platform's secret ``key`` and good for one ``use`` alone."""
    return _derive(key, f"recado {use}".encode(), 32)


def key_id_of(key: bytes) -> str:
    """Return the short public name of a secret key."""
    return _cipher(key)[1]


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> tuple[AESGCM, str]:
    return AESGCM(_derive(key, b"recado secrets at rest", 32)), _derive(key, b"recado key id", 4).hex()


def _derive(key: bytes, use: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=use).derive(key)
