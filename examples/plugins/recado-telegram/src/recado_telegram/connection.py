"""How the Bot API is called: the token is a part of the path, so nothing here shows a path.

https://core.telegram.org/bots/api#making-requests
"""

from collections.abc import Mapping
from typing import Generic, Literal, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from core.plugin import Client, MisconfiguredError, RefusedError, Secret, Server, UnavailableError, decode

QUICK_SECONDS = 20.0

_T = TypeVar("_T")


class TelegramCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a server row needs beside its url: one row is one bot."""

    token: Secret


class _Done(msgspec.Struct, Generic[_T]):
    ok: Literal[True]
    result: _T


class Parameters(msgspec.Struct):
    """https://core.telegram.org/bots/api#responseparameters."""

    retry_after: float | None = None


class Failure(msgspec.Struct):
    """An answer that is not ``ok``."""

    ok: Literal[False]
    description: str = ""
    parameters: Parameters = msgspec.field(default_factory=Parameters)


def method_url(server: Server, method: str) -> str:
    """Return the address of a method; it holds the token and must not be shown."""
    return f"{server.url.rstrip('/')}/bot{quote(_token(server).reveal(), safe=':')}/{method}"


def bot_id(server: Server) -> str:
    """Return the public part of the token, which names the bot."""
    return _token(server).reveal().partition(":")[0]


async def ask(
    http: Client,
    server: Server,
    query: tuple[str, Mapping[str, str | int]],
    kind: type[_T],
    *,
    doing: str,
    limit_seconds: float = QUICK_SECONDS,
) -> _T:
    """Call a method that only reads (its name and parameters) and return the result.

    Raises:
        MisconfiguredError: Telegram does not know the token, or the bot has a webhook.
        UnavailableError: No answer, too many requests, or another program asks for the same bot's updates.
        RefusedError: Another 4xx.
        UncertainError: The answer is none of Telegram's.
    """
    method, parameters = query
    request = http.build_request("GET", method_url(server, method), params=dict(parameters))
    response = await http.call(request, doing=doing, limit_seconds=limit_seconds, accept=(404, 409))
    if response.is_success:
        # A generic alias made while running is fine for msgspec, and beyond what types can say.
        done: _Done[_T] = decode(response, _Done[kind], doing)  # type: ignore[valid-type]
        return done.result
    raise _refusal(response, doing)


def read_failure(response: httpx.Response) -> Failure | None:
    """Return what Telegram says of a failure, ``None`` where the answer is none of Telegram's."""
    try:
        return msgspec.json.decode(response.content, type=Failure)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _refusal(response: httpx.Response, doing: str) -> Exception:
    failure = read_failure(response)
    status = response.status_code
    if failure is None:
        return RefusedError(f"Something that is not the Bot API answered {status} while {doing}.", http_status=status)
    if status == httpx.codes.NOT_FOUND:
        # What api.telegram.org answers to a token that has not the form of one.
        return MisconfiguredError(f"Telegram does not know this bot's token, said while {doing}.", http_status=status)
    if "webhook" in failure.description:
        return MisconfiguredError(
            "The bot has a webhook, so its messages cannot be asked for: remove it (deleteWebhook), or use a bot of"
            " its own for Recado.",
            http_status=status,
        )
    return UnavailableError(
        "Another program asks for this bot's messages, or did until a moment ago: one bot serves one program.",
        http_status=status,
    )


def _token(server: Server) -> Secret:
    credentials = server.credentials
    if not isinstance(credentials, TelegramCredentials):
        raise TypeError("the server's credentials are not Telegram's")
    return credentials.token
