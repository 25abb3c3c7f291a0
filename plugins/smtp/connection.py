"""Encrypted connections to the mail server that stay open between mails."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from weakref import WeakKeyDictionary

import aiosmtplib
import msgspec

from core.plugin import MisconfiguredError, ProviderError, Secret, UnavailableError
from plugins.smtp.answers import Step, explain

MOST_CONNECTIONS = 3
"""Mails of one process that are on their way at once; Gmail and others count connections."""
RESET_SECONDS = 3.0
"""What a connection that was idle may take to answer, before another is opened."""
FAREWELL_SECONDS = 2.0
FINAL_SECONDS = 240.0
"""What a mail and the answer to it may take. RFC 5321, 4.5.3.2.6, says ten minutes, since servers may look through the
mail before they answer; core waits five."""
_OTHER_SPEECH = {"WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "NO_SHARED_CIPHER"}
"""What OpenSSL calls a server that speaks no TLS, or none that is safe."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The account at a mail server; an empty ``username`` signs in nowhere."""

    host: str
    port: int
    security: Literal["starttls", "tls"] = "starttls"
    username: str = ""
    password: Secret = Secret("")
    ca_file: str = ""
    timeout_seconds: float = 20.0
    final_seconds: float = FINAL_SECONDS
    idle_seconds: float = 20.0

    @property
    def title(self) -> str:
        """Its address as a person reads it."""
        return f"{self.host}:{self.port}"


class _Loop:
    """What one event loop has: room for so many connections, and those that wait for the next mail."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(MOST_CONNECTIONS)
        self.idle: dict[aiosmtplib.SMTP, asyncio.TimerHandle] = {}
        self.farewells: set[asyncio.Task[None]] = set()


class Connections:
    """The connections to one account."""

    def __init__(self, account: Account, local_name: str) -> None:
        self.account = account
        self._local_name = local_name
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    @asynccontextmanager
    async def lend(self, *, anew: bool = False) -> AsyncIterator[aiosmtplib.SMTP]:
        """Lend a connection that is signed in, just now if ``anew``; it is kept unless the block raises.

        A block that ends in a ``ProviderError`` with a code had a whole answer, so that the connection is kept too. One
        that is in the middle of a mail must be dropped by the block itself.

        Raises:
            UnavailableError: The server cannot be reached, or every connection waits for it.
            MisconfiguredError: The certificate or the credentials are wrong, or there is no encryption.
        """
        here = self._loops.setdefault(asyncio.get_running_loop(), _Loop())
        try:
            async with asyncio.timeout(self.account.timeout_seconds):
                await here.room.acquire()
        except TimeoutError:
            raise UnavailableError(f"{self.account.title} has not finished earlier mails yet.") from None
        try:
            client = await self._ready(here, anew=anew)
            keep = False
            try:
                yield client
                keep = True
            except ProviderError as error:
                keep = bool(error.provider_code)
                raise
            finally:
                if keep and client.is_connected:
                    self._keep(here, client)
                else:
                    drop(client)
        finally:
            here.room.release()

    async def aclose(self) -> None:
        """Say goodbye on every connection of this loop."""
        here = self._loops.pop(asyncio.get_running_loop(), None)
        if here is not None:
            await self._part_with_all(here)

    async def _ready(self, here: _Loop, *, anew: bool) -> aiosmtplib.SMTP:
        """Return an idle connection that still answers, else a new one, within the limit of time."""
        try:
            async with asyncio.timeout(self.account.timeout_seconds):
                if anew:
                    # Those that wait count at the server too.
                    await self._part_with_all(here)
                while here.idle and not anew:
                    client, timer = here.idle.popitem()
                    timer.cancel()
                    if await _answers(client, min(RESET_SECONDS, self.account.timeout_seconds / 2)):
                        return client
                return await self._connect()
        except TimeoutError:
            raise UnavailableError(f"{self.account.title} did not answer in time.") from None

    async def _connect(self) -> aiosmtplib.SMTP:
        account = self.account
        starttls = account.security == "starttls"
        client = aiosmtplib.SMTP(
            hostname=account.host,
            port=account.port,
            # Never left to what the server offers: without encryption nothing is said.
            start_tls=starttls,
            use_tls=not starttls,
            tls_context=await asyncio.to_thread(_trusting, account.ca_file),
            local_hostname=self._local_name,
            timeout=account.timeout_seconds,
        )
        step: Step = "connect"
        try:
            await client.connect()
            step = "sign_in"
            await self._sign_in(client)
        except BaseException as error:
            drop(client)
            if isinstance(error, TimeoutError | aiosmtplib.SMTPException | OSError | ValueError):
                raise self.explain(error, step) from None
            raise
        return client

    async def _sign_in(self, client: aiosmtplib.SMTP) -> None:
        account = self.account
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
        if not account.username:
            return
        name, password = account.username, account.password.reveal()
        # One attempt: the library's own login would try a wrong password by every method there is.
        for method, sign_in in (
            ("plain", client.auth_plain),
            ("login", client.auth_login),
            ("cram-md5", client.auth_crammd5),
        ):
            if method in client.server_auth_methods:
                await sign_in(name, password)
                return
        raise MisconfiguredError(f"{account.title} offers no way to sign in with a password.")

    def explain(self, error: Exception, step: Step, recipient: str = "") -> ProviderError:
        """Say in the words of notifiers what went wrong before the mail itself was begun."""
        title = self.account.title
        if isinstance(error, ProviderError):
            return error
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return explain(error.code, error.message, step, title, recipient=recipient)
        refusal = _certificate_error(error)
        if refusal:
            return MisconfiguredError(f"The certificate of {title} does not count ({refusal}); nothing was sent.")
        if step == "connect" and type(error) is aiosmtplib.SMTPException:
            # The library has no class of its own for it.
            return MisconfiguredError(f"{title} offers no encryption (STARTTLS); nothing is sent in clear text.")
        if getattr(_tls_error(error), "reason", "") in _OTHER_SPEECH:
            return MisconfiguredError(f"{title} does not speak TLS as security and port say; nothing was sent.")
        return UnavailableError(f"{title} cannot be reached, or ended the connection ({type(error).__name__}).")

    def _keep(self, here: _Loop, client: aiosmtplib.SMTP) -> None:
        loop = asyncio.get_running_loop()
        if self._loops.get(loop) is not here:
            # Closed meanwhile.
            drop(client)
            return
        here.idle[client] = loop.call_later(self.account.idle_seconds, self._part, here, client)

    async def _part_with_all(self, here: _Loop) -> None:
        """Say goodbye on every connection that waits, and wait until they are gone."""
        for client in [*here.idle]:
            self._part(here, client)
        if here.farewells:
            await asyncio.wait(here.farewells)

    def _part(self, here: _Loop, client: aiosmtplib.SMTP) -> None:
        timer = here.idle.pop(client, None)
        if timer is not None:
            timer.cancel()
            task = asyncio.get_running_loop().create_task(_say_goodbye(client))
            here.farewells.add(task)
            task.add_done_callback(here.farewells.discard)


async def _answers(client: aiosmtplib.SMTP, seconds: float) -> bool:
    """Whether the server still holds a connection; what was begun on it is forgotten."""
    try:
        await client.rset(timeout=seconds)
    except BaseException as error:
        drop(client)
        if isinstance(error, aiosmtplib.SMTPException | OSError):
            return False
        raise
    return True


def drop(client: aiosmtplib.SMTP) -> None:
    """Close at once: the farewell of TLS would wait for a server that hangs."""
    # By its name, for the transports of uvloop derive from none of asyncio's.
    abort = getattr(client.transport, "abort", None)
    if abort is not None:
        abort()
    client.close()


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=FAREWELL_SECONDS)
    drop(client)


def _trusting(ca_file: str) -> ssl.SSLContext:
    """Return a context that verifies certificates by an authority's file, else by those that the system knows.

    The file is read for each connection, so that a renewed one counts.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:
        raise MisconfiguredError(f"ca_file {ca_file} cannot be read ({type(error).__name__}).") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _tls_error(error: BaseException | None) -> BaseException | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__
    return error


def _certificate_error(error: BaseException) -> str:
    found = _tls_error(error)
    return str(found.verify_message) if isinstance(found, ssl.SSLCertVerificationError) else ""
