"""The key that encrypts secrets at rest, and other secrets the platform makes and keeps by itself."""

import hashlib
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from core.config import PlatformConfig
from core.errors import OperatorError

KEY_FILE = "secret_key"
MINIMUM_LENGTH = 16


def read_or_create(path: Path) -> str:
    """Return the text in ``path``, made from 32 random bytes (mode 0600) by whichever process comes first.

    Raises:
        OperatorError: The file cannot be read or written, or it is empty.
    """
    try:
        if not path.exists():
            _create(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise OperatorError(f"The file {path} cannot be used: {reason}; mend its owner or rights.") from None
    if not text:
        raise OperatorError(f"The file {path} is empty: restore it from a backup.")
    return text


def load_secret_key(config: PlatformConfig) -> bytes:
    """Return the 32 bytes that encrypt secrets at rest: from ``[server] secret_key``, else kept in the data folder.

    Raises:
        OperatorError: The configured key is too short, or the kept one cannot be read.
    """
    if config.server.secret_key is not None:
        text = config.server.secret_key.reveal()
        if len(text) < MINIMUM_LENGTH:
            raise OperatorError(f"[server] secret_key needs at least {MINIMUM_LENGTH} characters; 32 random bytes fit.")
    else:
        text = read_or_create(config.data_folder / KEY_FILE)
    return hashlib.sha256(text.encode()).digest()


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link appears complete or not at all, so a second process never reads half a secret.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
