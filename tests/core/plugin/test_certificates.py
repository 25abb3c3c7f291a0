"""Certificates of the authority for simulators: whom a strict client believes."""

import asyncio
import ssl

import pytest

from core.plugin.certificates import CertificateAuthority


async def _shake_hands(name: str, authority: CertificateAuthority, server: ssl.SSLContext) -> str:
    """Connect as a client that verifies as strictly as there is, and return the version that was agreed on."""

    def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    listening = await asyncio.start_server(take, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=name)
        version: str = writer.get_extra_info("ssl_object").version()
        writer.transport.abort()
        return version


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_strict_client_believes_it(name: str) -> None:
    authority = CertificateAuthority()

    assert await _shake_hands(name, authority, authority.server_context("localhost", "127.0.0.1")) == "TLSv1.3"


async def test_another_name_is_not_believed() -> None:
    authority = CertificateAuthority()

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await _shake_hands("mail.example.org", authority, authority.server_context("localhost"))


async def test_another_authority_is_not_believed() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await _shake_hands("localhost", CertificateAuthority(), CertificateAuthority().server_context("localhost"))
