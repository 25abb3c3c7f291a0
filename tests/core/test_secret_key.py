import asyncio
import hashlib
import stat
from pathlib import Path

import pytest

from core.config import parse_config
from core.errors import OperatorError
from core.secret_key import load_secret_key, read_or_create


def test_a_key_is_made_once_and_kept_closed(tmp_path: Path) -> None:
    config = parse_config({"paths": {"data": str(tmp_path / "data")}})

    key = load_secret_key(config)

    assert load_secret_key(config) == key
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "data" / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_configured_key_leaves_no_file(tmp_path: Path) -> None:
    config = parse_config({"paths": {"data": str(tmp_path)}, "server": {"secret_key": "sixteen or more."}})

    assert load_secret_key(config) == hashlib.sha256(b"sixteen or more.").digest()
    assert list(tmp_path.iterdir()) == []


def test_a_short_key_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"\[server\] secret_key needs at least 16 characters"):
        load_secret_key(parse_config({"server": {"secret_key": "fifteen letters"}}))


async def test_whoever_comes_first_makes_it(tmp_path: Path) -> None:
    found = await asyncio.gather(*(asyncio.to_thread(read_or_create, tmp_path / "secret") for _ in range(20)))

    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize(("content", "told"), [(b"\n", "is empty: restore it"), (b"\xff", "it is no text")])
def test_a_broken_file_is_never_replaced(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)

    with pytest.raises(OperatorError, match=told):
        read_or_create(path)

    assert path.read_bytes() == content
