"""How Mercado Pago is called: its SDK in threads of its own, one attempt per call, exact amounts both ways.

The SDK 3.6 knows no ``Decimal``, repeats GET and PUT without any back-off, and raises whatever ``requests`` raises. Its
``http_client`` is where all of that is mended (``mercadopago/http/http_client.py``).
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any, Protocol, TypeVar, cast

import mercadopago
import msgspec
import requests
from mercadopago.config import RequestOptions
from mercadopago.http import HttpClient

from core.plugin import ConfigurationError, DeclinedError, ProviderError, RefusedError, RetryableError, Secret

API_URL = "https://api.mercadopago.com"
"""Where the service is; at any other address is a simulator."""
_THREADS = 8
_LARGEST = 8 * 2**20
_CHUNK = 64
_KEY_LENGTH = 64
_KEY = re.compile(r"[!-~]{1,64}")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_AMOUNTS = frozenset({"transaction_amount", "amount"})
_NOT_FOUND = 404
_TO_REPEAT = frozenset({408, 409, 423, 424, 425, 429})
"""409 and 423: another call under the same key is at work. 424: something behind the service failed."""

_KNOWN_REFUSALS = {
    "real or test users": "Mercado Pago refuses to mix real and test accounts: payer and access token must both be"
    " real, or both of test users.",
    "between different countries": "Mercado Pago refuses accounts of different countries: payer, access token and"
    " [plugins.mercadopago] site must be of one country, and all real or all test users.",
    "currency_id": "Mercado Pago refuses the currency: [plugins.mercadopago] site must be the country of the seller's"
    " account.",
    "back_url": "Mercado Pago refuses the address to which the payer comes back: set [server] public_url to a public"
    " https address.",
}
"""What an administrator has to mend, by a part of the service's message, which itself is never shown."""

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode_any = msgspec.json.Decoder(float_hook=Decimal).decode
_T = TypeVar("_T")


class Answer(Protocol):
    """What every call of the SDK returns (``mercadopago.errors.MPResponse``), with the body as it came."""

    def __getitem__(self, name: str) -> Any:
        """Return ``status``, ``response`` or ``body``."""
        ...


Call = Callable[[mercadopago.SDK, RequestOptions], Answer]
"""One call of the SDK with these options."""


class Connection:
    """Calls Mercado Pago, each call once and in a thread of the pool."""

    def __init__(self, access_token: Secret, api_url: str, timeout_seconds: float) -> None:
        self._token = access_token
        self._timeout = float(timeout_seconds)
        self._sdk = mercadopago.SDK(access_token.reveal(), http_client=_Transport(api_url, self._timeout))
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="mercadopago")

    async def find(self, call: Call, kind: type[_T], doing: str) -> _T | None:
        """Return what a read answers, ``None`` for the service's own 404; raises as ``change``."""
        answer = await self._run(call, None)
        if answer["status"] == _NOT_FOUND and _is_own(answer["response"]):
            return None
        return _read(answer, kind, doing)

    async def change(self, call: Call, kind: type[_T], doing: str, key: str) -> _T:
        """Make one changing call under an idempotency key.

        Raises:
            DeclinedError: The means of payment was refused.
            RetryableError: The outcome is unknown, or the service is busy.
            ConfigurationError: Credentials or settings must change.
            RefusedError: The service will not do this.
        """
        return _read(await self._run(call, key), kind, doing)

    def close(self) -> None:
        """Take no more calls; those that run end by their own limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Call, key: str | None) -> Answer:
        # Options hold the SDK's headers, so each call has its own. Without a key the SDK makes up one, for GETs too.
        headers = {} if key is None else {"x-idempotency-key": header_key(key)}
        options = RequestOptions(
            access_token=self._token.reveal(), connection_timeout=self._timeout, custom_headers=headers, max_retries=0
        )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call, self._sdk, options)
        except (requests.RequestException, _UnreadableError) as error:
            # Even a refused connection may be the answer of a proxy that has sent the request on.
            raise RetryableError(f"Mercado Pago gave no usable answer ({type(error).__name__}).") from None


def header_key(key: str) -> str:
    """Return the value of ``x-idempotency-key`` for core's key: itself where it fits, 1 to 64 characters."""
    return key if _KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:_KEY_LENGTH]


class _UnreadableError(Exception):
    """An answer that is too long or too slow."""


class _Transport(HttpClient):  # type: ignore[misc]
    """The SDK's seam: another base URL, a limit for the whole exchange, no redirects, no repetition."""

    def __init__(self, api_url: str, timeout_seconds: float) -> None:
        self._url = api_url.rstrip("/")
        self._timeout = timeout_seconds

    def request(self, method: str, url: str, **given: Any) -> Mapping[str, object]:
        """Call once; ``body`` beside the SDK's ``status`` and ``response`` is what came, byte for byte."""
        body = None if given.get("data") is None else _exact(given["data"])
        deadline = time.monotonic() + self._timeout
        with requests.Session() as session:
            # Neither a proxy nor a .netrc of this machine may see or replace the access token.
            session.trust_env = False
            with session.request(
                method,
                self._url + url.removeprefix(API_URL),
                headers=given["headers"],
                params=given.get("params"),
                data=body,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _read_all(response, deadline)
        # The SDK's own errors read a mapping.
        return {"status": response.status_code, "response": _mapping(content), "body": content}


def _read_all(response: requests.Response, deadline: float) -> bytes:
    """Read the body by small parts: a read timeout alone would let one that drips go on for ever."""
    content = bytearray()
    for part in response.iter_content(_CHUNK):
        content += part
        if len(content) > _LARGEST or time.monotonic() > deadline:
            raise _UnreadableError
    return bytes(content)


def _exact(text: str) -> bytes:
    """Write amounts as JSON numbers: they come through the SDK's encoder, which knows no ``Decimal``, as strings."""
    return _encode(_with_numbers(msgspec.json.decode(text)))


def _with_numbers(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {
        name: Decimal(part) if name in _AMOUNTS and isinstance(part, str) else _with_numbers(part)
        for name, part in value.items()
    }


def _mapping(content: bytes) -> dict[str, object] | None:
    try:
        found = _decode_any(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _read(answer: Answer, kind: type[_T], doing: str) -> _T:
    if not 200 <= answer["status"] < 300:  # noqa: PLR2004 - 2xx
        raise _error_of(answer["status"], answer["response"] or {}, doing)
    try:
        return msgspec.json.decode(answer["body"], type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = f"Mercado Pago's answer cannot be read: {doing}."
        raise RetryableError(text, http_status=answer["status"]) from None


def _is_own(body: object) -> bool:
    """Whether a 404 is the service's: those of its proxies have another shape, or none."""
    return isinstance(body, dict) and (body.get("status") == _NOT_FOUND or isinstance(body.get("error"), str))


def _error_of(status: int, body: Mapping[str, object], doing: str) -> ProviderError:
    """Say in the words of gateways what an answer means; its own words may repeat the request and stay here."""
    kind: type[ProviderError] = RefusedError
    text = f"Mercado Pago refuses this ({status}): {doing}."
    mend = next((meaning for part, meaning in _KNOWN_REFUSALS.items() if part in str(body.get("message", ""))), "")
    if status in {401, 403}:
        kind = ConfigurationError
        text = f"Mercado Pago refuses the access token ({status}): check [plugins.mercadopago] access_token."
    elif status == requests.codes.payment_required:
        kind, text = DeclinedError, "The means of payment was declined."
    elif status in _TO_REPEAT or status >= requests.codes.server_error:
        kind, text = RetryableError, f"Mercado Pago answers {status}: {doing}."
    elif status == _NOT_FOUND and not _is_own(body):
        kind, text = RetryableError, f"Something that is not Mercado Pago answers 404: {doing}."
    elif status < requests.codes.bad_request:
        kind, text = ConfigurationError, f"Mercado Pago redirects ({status}): check [plugins.mercadopago] api_url."
    elif mend:
        kind, text = ConfigurationError, mend
    return kind(text, http_status=status, provider_code=_code_of(body))


def _code_of(body: Mapping[str, object]) -> str:
    """Return the machine's word for a failure, where it is one: the first cause's number, else ``error``."""
    causes = body.get("cause")
    first = causes[0] if isinstance(causes, list) and causes else None
    code = cast("dict[str, object]", first).get("code") if isinstance(first, dict) else None
    word = str(code if code is not None else body.get("error") or "")
    return word if _CODE.fullmatch(word) else ""
