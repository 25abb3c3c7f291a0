"""Sessions from STARTING to WORKING or FAILED, and the calls that drive them."""

import asyncio
import re
from typing import Any

import msgspec

from plugins.waha.simulator.http import Refused, Reply, Request, Router, bad_request, json_reply, not_found
from plugins.waha.simulator.state import Session, State
from plugins.waha.simulator.webhooks import Target, Webhooks, me_of, timelock_of

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_QR_CODES = 6
_RUNNING = {"STARTING", "SCAN_QR_CODE", "WORKING"}


class _Config(msgspec.Struct):
    webhooks: list[Target] | None = None
    metadata: dict[str, Any] | None = None
    noweb: dict[str, Any] | None = None


class Lifecycle:
    """Moves sessions on; each running one has a task that does it."""

    def __init__(self, state: State, webhooks: Webhooks) -> None:
        self._state = state
        self._webhooks = webhooks
        self._running: dict[str, asyncio.Task[None]] = {}
        if not state.options.is_free:
            state.sessions.setdefault("default", Session("default"))

    def routes(self, router: Router) -> None:
        """Add the calls of ``/api/sessions``."""
        router.add("GET", "/api/sessions", self._list)
        router.add("POST", "/api/sessions", self._create)
        router.add("GET", "/api/sessions/{name}", self._show)
        router.add("PUT", "/api/sessions/{name}", self._replace)
        router.add("DELETE", "/api/sessions/{name}", self._delete)
        router.add("GET", "/api/sessions/{name}/me", self._me)
        router.add("GET", "/api/sessions/{name}/capping", self._capping)
        for verb in ("start", "stop", "restart", "logout"):
            router.add("POST", f"/api/sessions/{{name}}/{verb}", getattr(self, f"_{verb}"))

    def resume(self) -> None:
        """Start again what ran when the simulator ended, as WAHA does."""
        for session in self._state.sessions.values():
            if session.status in _RUNNING:
                self.begin(session)

    def begin(self, session: Session) -> None:
        """Start a session."""
        self.halt(session)
        self.set_status(session, "STARTING")
        self._running[session.name] = self._state.begin(self._run(session))

    def halt(self, session: Session) -> None:
        """End whatever moves a session on."""
        task = self._running.pop(session.name, None)
        if task is not None:
            task.cancel()

    def sign_in(self, session: Session, phone: str) -> None:
        """Pair a session with a phone, as a person who scans the QR code does."""
        self.halt(session)
        session.phone, session.qr, session.pairing_code = phone, "", ""
        self.set_status(session, "WORKING")

    def set_status(self, session: Session, status: str) -> None:
        """Change a session's status and tell its webhooks."""
        session.status = status
        session.statuses = [*session.statuses, {"status": status, "timestamp": self._state.now_ms()}][-3:]
        self._state.changed.set()
        self._state.changed = asyncio.Event()
        self._state.save_session(session)
        payload: dict[str, Any] = {"name": session.name, "status": status, "statuses": session.statuses}
        lock = timelock_of(session, self._state)
        if status == "WORKING" and lock is not None:
            payload["data"] = {"reachoutTimelock": lock}
        self._webhooks.emit(session, "session.status", payload)

    async def _run(self, session: Session) -> None:
        options = self._state.options
        await asyncio.sleep(options.start_seconds)
        if session.phone:
            self.set_status(session, "WORKING")
            return
        for turn in range(_QR_CODES):
            session.qr = "2@" + "".join(f"{self._state.random.getrandbits(32):08x}" for _ in range(8))
            self.set_status(session, "SCAN_QR_CODE")
            await asyncio.sleep(options.qr_seconds * (3 if turn == 0 else 1))
        session.qr = ""
        self.set_status(session, "FAILED")

    async def _list(self, request: Request) -> Reply:
        everything = request.query.get("all") == "true"
        found = [one for one in self._state.sessions.values() if everything or one.status != "STOPPED"]
        return json_reply([self._dto(one) for one in found])

    async def _create(self, request: Request) -> Reply:
        fields = request.fields()
        name = str(fields.get("name") or "default")
        if not _NAME.fullmatch(name):
            return bad_request("name must be a string of letters, digits, hyphens and underscores")
        free = self._state.options.is_free
        if not free and name != "default":
            text = "WAHA Core support only 'default' session. If you want to run more than one, get WAHA Plus version"
            return json_reply({"message": text, "error": "Unprocessable Entity", "statusCode": 422}, 422)
        if name in self._state.sessions:
            text = f"Session '{name}' already exists. Use PUT to update it."
            return json_reply({"message": text, "error": "Unprocessable Entity", "statusCode": 422}, 422)
        session = Session(name, config=_config(fields))
        self._state.sessions[name] = session
        self._state.save_session(session)
        # The OpenAPI document says that start is true by default; the code reads an absent one as false.
        if not fields.get("start"):
            return Reply(201)
        self.begin(session)
        return json_reply(self._dto(session), 201)

    async def _show(self, request: Request) -> Reply:
        return json_reply(self._dto(self.find(request)))

    async def _replace(self, request: Request) -> Reply:
        session = self.find(request)
        session.config = _config(request.fields())
        self._state.save_session(session)
        if session.status in _RUNNING:
            self.begin(session)
        return json_reply(self._dto(session))

    async def _delete(self, request: Request) -> Reply:
        session = self._state.sessions.get(request.path_values["name"])
        if session is not None:
            await self._end(session)
            self._state.remove_session(session.name)
            if not self._state.options.is_free:
                self._state.sessions["default"] = Session("default")
        return Reply()

    async def _start(self, request: Request) -> Reply:
        session = self.find(request)
        if session.status not in _RUNNING:
            self.begin(session)
        elif not self._state.options.is_free:
            text = f"Session '{session.name}' is already started."
            return json_reply({"message": text, "error": "Unprocessable Entity", "statusCode": 422}, 422)
        return json_reply(self._dto(session), 201)

    async def _stop(self, request: Request) -> Reply:
        session = self.find(request)
        await self._end(session)
        return json_reply(self._dto(session), 201)

    async def _restart(self, request: Request) -> Reply:
        session = self.find(request)
        self.begin(session)
        return json_reply(self._dto(session), 201)

    async def _logout(self, request: Request) -> Reply:
        session = self.find(request)
        was_running = session.status in _RUNNING
        await self._end(session)
        session.phone = ""
        self._state.forget_store(session.name)
        self._state.save_session(session)
        if was_running:
            self.begin(session)
        return json_reply(self._dto(session), 201)

    async def _me(self, request: Request) -> Reply:
        me = me_of(self.find(request), self._state)
        return json_reply(me) if me else Reply()

    async def _capping(self, request: Request) -> Reply:
        session = self.find(request)
        return json_reply(session.capping or capping("NONE", -1, 0, None, None))

    async def _end(self, session: Session) -> None:
        if session.status == "STOPPED":
            return
        self.halt(session)
        await asyncio.sleep(self._state.options.operation_seconds)
        session.qr = ""
        self.set_status(session, "STOPPED")

    def find(self, request: Request) -> Session:
        """Return the session named in the path, or answer 404."""
        session = self._state.sessions.get(request.path_values["name"])
        if session is None:
            raise Refused(not_found("Session not found"))
        return session

    def _dto(self, session: Session) -> dict[str, Any]:
        engine = self._state.options.engine
        me = me_of(session, self._state) if session.status == "WORKING" else None
        timestamps = {"activity": session.statuses[-1]["timestamp"] if session.statuses else None}
        return {
            "name": session.name,
            "status": session.status,
            "config": session.config,
            "me": me,
            "presence": None,
            "timestamps": timestamps,
            "engine": {"engine": engine},
        }


def capping(status: str, total: int, used: int, begins: int | None, ends: int | None) -> dict[str, Any]:
    """Return a quota of new chats; times are Unix seconds, a total of -1 is none (capping.ts of WAHA)."""
    found: dict[str, Any] = {"cappingStatus": status, "totalQuota": total, "usedQuota": used}
    return {**found, "cycleStart": begins, "cycleEnd": ends, "mvStatus": None, "oteStatus": None}


def _config(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a create or update, or answer 400."""
    config = fields.get("config") or {}
    try:
        targets = msgspec.convert(config, _Config).webhooks or ()
    except msgspec.ValidationError as error:
        raise Refused(bad_request(f"config: {error}")) from None
    if not all(target.url.startswith(("http://", "https://")) for target in targets):
        raise Refused(bad_request("config.webhooks.0.url must be a URL address"))
    return dict(config)
