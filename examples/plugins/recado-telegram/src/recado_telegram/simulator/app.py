"""The simulated Bot API's methods over HTTP: ``/bot<token>/<method>`` by GET or POST, in every form Telegram takes."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx
import msgspec
from litestar import HttpMethod, Litestar, MediaType, Request, Response, route
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Stream
from litestar.types import Receive

from core.plugin import Secret, Stage
from recado_telegram.connection import TelegramCredentials
from recado_telegram.simulator.state import Fault, Options, Person, Refused, Service, utc_now

DEFAULT_PORT = 8081
"""That of a Bot API server of one's own."""
MOST_TEXT = 4096
MOST_CAPTION = 1024
MEGABYTE = 1_000_000
FETCH_SECONDS = 10.0
_FILES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sendphoto": ("photo", ("image/",)),
    "sendvideo": ("video", ("video/",)),
    "sendvoice": ("voice", ("audio/",)),
    # By address only these: https://core.telegram.org/bots/api#sending-files
    "senddocument": ("document", ("application/pdf", "application/zip", "image/gif")),
}

Fields = Mapping[str, Any]
_Handler = Callable[[Fields], Awaitable[object]]


class LostAnswer(Exception):  # noqa: N818 - is no error of the simulator
    """The request was done and nobody is told."""


class Simulator:
    """The methods of one bot."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._methods: dict[str, _Handler] = {
            "getme": self._get_me,
            "getwebhookinfo": self._get_webhook_info,
            "setwebhook": self._set_webhook,
            "deletewebhook": self._delete_webhook,
            "getupdates": self._get_updates,
            "sendchataction": self._send_chat_action,
            "sendmessage": self._send_message,
            **{method: self._sender(method) for method in _FILES},
        }

    async def call(self, token: str, method: str, fields: Fields) -> object:
        """Return the result of a method; raises ``Refused``."""
        if ":" not in token or token.startswith("0"):
            raise Refused(401, "Unauthorized: invalid token specified")
        if not Secret(token).matches(self.service.options.token):
            raise Refused(401, "Unauthorized")
        handler = self._methods.get(method.lower())
        if handler is None:
            raise Refused(404, "Not Found: method not found")
        return await handler(fields)

    async def order(self, path: str, fields: Fields) -> object:
        """Do what a person does, or what goes wrong; return what is asked for."""
        service = self.service
        match path.split("/"):
            case ["people"]:
                await service.start(msgspec.convert(fields, Person, strict=False))
            case ["people", person, "block"]:
                service.people[int(person)].blocked = True
            case ["people", person, "deactivate"]:
                service.people[int(person)].deactivated = True
            case ["messages"] if fields:
                await service.write(int(fields["from"]), str(fields["text"]), chat=fields.get("chat"))
            case ["updates"]:
                await service.add_update(str(fields["kind"]), fields["content"])
            case ["faults"]:
                service.faults.append(msgspec.convert(fields, Fault, strict=False))
            case ["written"]:
                return service.written
            case ["messages"]:
                return {
                    "messages": service.arrivals,
                    "slowed_down_at": service.slowed_down_at,
                    "polls": service.polls,
                }
            case _:
                raise Refused(404, "Not Found")
        return True

    async def _get_me(self, fields: Fields) -> object:
        del fields
        return self.service.bot

    async def _get_webhook_info(self, fields: Fields) -> object:
        del fields
        return {"url": self.service.webhook, "has_custom_certificate": False, "pending_update_count": 0}

    async def _set_webhook(self, fields: Fields) -> object:
        self.service.webhook = str(fields.get("url", ""))
        return True

    async def _delete_webhook(self, fields: Fields) -> object:
        del fields
        self.service.webhook = ""
        return True

    async def _get_updates(self, fields: Fields) -> object:
        if "allowed_updates" in fields:
            kinds = fields["allowed_updates"]
            self.service.allow(msgspec.json.decode(kinds, type=list[str]) if isinstance(kinds, str) else kinds)
        limit = min(max(int(fields.get("limit", 100)), 1), 100)
        return await self.service.updates(int(fields.get("offset", 0)), limit, float(fields.get("timeout", 0)))

    async def _send_chat_action(self, fields: Fields) -> object:
        self.service.reach(str(fields.get("chat_id", "")))
        return True

    async def _send_message(self, fields: Fields) -> object:
        text = str(fields.get("text", ""))
        if not text.strip():
            raise Refused(400, "Bad Request: message text is empty")
        if len(text) > MOST_TEXT:
            raise Refused(400, "Bad Request: message is too long")
        return self._deliver(fields, "sendMessage", text, 0, {"text": text})

    def _sender(self, method: str) -> _Handler:
        field, types = _FILES[method]

        async def send(fields: Fields) -> object:
            caption = str(fields.get("caption", ""))
            if len(caption) > MOST_CAPTION:
                raise Refused(400, "Bad Request: message caption is too long")
            size = await _size_of(fields.get(field), field, types)
            file = {"file_id": secrets.token_urlsafe(24), "file_unique_id": secrets.token_hex(8), "file_size": size}
            content: dict[str, object] = {field: [file] if field == "photo" else file}
            return self._deliver(fields, method, caption, size, {**content, "caption": caption} if caption else content)

        return send

    def _deliver(self, fields: Fields, method: str, text: str, size: int, content: Mapping[str, object]) -> object:
        service = self.service
        fault = service.strike()
        if fault is not None and fault.kind == "429":
            raise service.slow_down(fault.retry_after)
        if fault is not None and fault.kind == "500":
            raise Refused(500, "Internal Server Error")
        person = service.reach(str(fields.get("chat_id", "")))
        service.limit_pace(person)
        number = service.deliver(person, method, text, size)
        if fault is not None:
            raise LostAnswer
        bot = {key: service.bot[key] for key in ("id", "is_bot", "first_name", "username")}
        return {"message_id": number, "from": bot, "chat": person.chat(), "date": service.timestamp(), **content}


def create(options: Mapping[str, str]) -> Litestar:
    """Build the service from options given as text; raises ``ValueError`` that names the wrong one."""
    try:
        return build(Service(msgspec.convert(dict(options), Options, strict=False)))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def create_stage(
    phones: Mapping[str, str], *, faults: float = 0.0, seed: int = 0, now: Callable[[], datetime] = utc_now
) -> Stage:
    """Return a bot for a rehearsal, which everybody has started; it serves every instance of ``phones`` alike.

    Half of the share ``faults`` of the sends is refused by a busy server, half goes out and its answer is lost.
    Messages carry the times of ``now``.
    """
    del phones  # a bot has none
    token = f"4242:{secrets.token_urlsafe(24)}"
    service = Service(Options(token=token, everybody=True, per_second=100_000, per_chat=100_000, seed=seed), now)
    half = faults / 2
    service.faults = [
        Fault(kind="429", count=-1, share=half),
        # Strikes among what the first let pass.
        Fault(kind="lost_answer", count=-1, share=half / (1 - half)),
    ]
    return Stage(build(service), TelegramCredentials(token=Secret(token)))


def build(service: Service) -> Litestar:
    """Serve ``service``."""
    simulator = Simulator(service)

    @route("/{path:path}", http_method=[HttpMethod.GET, HttpMethod.POST])
    async def answer(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[Any]:
        try:
            result = await _result(simulator, request, path.strip("/"))
        except Refused as refusal:
            return _failure(refusal)
        except LostAnswer:
            # More is promised than comes, so the server closes the connection.
            return Stream(_nothing(), headers={"content-length": "1000"})
        return Response(msgspec.json.encode({"ok": True, "result": result}), media_type=MediaType.JSON, status_code=200)

    return Litestar([answer], openapi_config=None, logging_config=None, request_max_body_size=100 * MEGABYTE)


async def _result(simulator: Simulator, request: Request[Any, Any, Any], path: str) -> object:
    fields = await _fields(request)
    if path.startswith("simulator/"):
        return await simulator.order(path.removeprefix("simulator/"), fields)
    if not path.startswith("bot"):
        raise Refused(404, "Not Found")
    token, _, method = path.removeprefix("bot").partition("/")
    return await _unless_gone(simulator.call(token, method, fields), request.receive)


async def _nothing() -> AsyncIterator[bytes]:
    yield b"{"


async def _unless_gone(call: Awaitable[object], receive: Receive) -> object:
    """Await ``call``, but end it when the client goes away: nobody is there for what comes then."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    working, leaving = asyncio.ensure_future(call), asyncio.create_task(gone())
    await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not working.done():
        working.cancel()
    with suppress(asyncio.CancelledError):
        return await working
    raise LostAnswer


async def _fields(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Return the parameters: of the query, of JSON, or of either kind of form."""
    fields: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "")
    if request.method != "POST" or not await request.body():
        return fields
    if kind.startswith("application/json"):
        try:
            return fields | msgspec.json.decode(await request.body(), type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(400, "Bad Request: can't parse JSON object") from None
    return fields | dict(await request.form())


async def _size_of(value: object, field: str, types: tuple[str, ...]) -> int:
    """Return the size of a file that came along, or that is fetched from its address."""
    if isinstance(value, UploadFile):
        size = len(await value.read())
        if size > (10 if field == "photo" else 50) * MEGABYTE:
            raise Refused(413, "Request Entity Too Large")
        if not size:
            raise Refused(400, "Bad Request: file must be non-empty")
        return size
    if not isinstance(value, str) or not value:
        raise Refused(400, f"Bad Request: there is no {field} in the request")
    if not value.startswith(("http://", "https://")):
        raise Refused(400, "Bad Request: wrong file identifier/HTTP URL specified")
    try:
        async with httpx.AsyncClient(timeout=FETCH_SECONDS, trust_env=False) as http:
            found = await http.get(value)
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Refused(400, "Bad Request: failed to get HTTP URL content") from None
    if found.is_error or len(found.content) > (5 if field == "photo" else 20) * MEGABYTE:
        raise Refused(400, "Bad Request: failed to get HTTP URL content")
    if not found.headers.get("content-type", "").startswith(types):
        raise Refused(400, "Bad Request: wrong type of the web page content")
    return len(found.content)


def _failure(refusal: Refused) -> Response[bytes]:
    answer: dict[str, object] = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    headers = {}
    if refusal.retry_after:
        answer["parameters"] = {"retry_after": refusal.retry_after}
        headers = {"Retry-After": str(refusal.retry_after)}
    return Response(msgspec.json.encode(answer), media_type=MediaType.JSON, status_code=refusal.status, headers=headers)
