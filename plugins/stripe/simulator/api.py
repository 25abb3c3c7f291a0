"""The API's manners: keys, versions, idempotency, parameters, expansion and errors."""

import base64
import binascii
import hmac
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
import stripe

from plugins.stripe.simulator.account import Account, Route
from plugins.stripe.simulator.requests import Refused, invalid, read_form, read_params
from plugins.stripe.simulator.shapes import Obj
from plugins.stripe.simulator.state import new_id

_WITHIN: Mapping[str, frozenset[str]] = {
    name: frozenset(known.split())
    for name, known in {
        "discounts": "coupon promotion_code",
        "items": "id price price_data quantity",
        "line_items": "price price_data quantity",
        "payment": "type payment_intent",
        "payment_settings": "save_default_payment_method",
        "price_data": "currency product product_data recurring unit_amount",
        "product_data": "name metadata active",
        "promotion": "type coupon",
        "recurring": "interval interval_count",
        "subscription_data": "metadata trial_period_days trial_end trial_settings description",
        "subscription_details": "items proration_behavior proration_date",
    }.items()
}
"""What is imitated deeper in the parameters."""
_KEPT_ANSWERS = 5_000
_KEY_SECONDS = 24 * 60 * 60
"""How long the answer to an idempotency key is kept."""


class Asked(msgspec.Struct, frozen=True):
    """One request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


class Answer(msgspec.Struct, frozen=True):
    """One answer."""

    status: int
    body: Obj
    headers: dict[str, str] = {}


class _Kept(msgspec.Struct, frozen=True):
    """The answer to an idempotency key, and to what it was given."""

    asked: tuple[str, str, str]
    answer: Answer
    at: int


class Api:
    """Answers requests to ``/v1``; ``answered`` holds every object that left, for tests to look at."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._kept: dict[str, _Kept] = {}
        self.answered: deque[Obj] = deque(maxlen=_KEPT_ANSWERS)
        self._patterns = [(re.compile(route.path.replace("*", "([^/]+)")), route) for route in account.routes]

    def answer(self, asked: Asked) -> Answer:
        """Answer one request."""
        headers = {"Request-Id": f"req_{new_id(14)}", "Stripe-Version": stripe.api_version}
        key = asked.headers.get("idempotency-key", "")
        if key:
            headers["Idempotency-Key"] = key
        try:
            self._expect_allowed(asked)
            answer = self._once(asked, key)
        except Refused as refusal:
            answer = _error(refusal)
        return Answer(answer.status, answer.body, headers | answer.headers)

    def is_allowed(self, headers: dict[str, str]) -> bool:
        """Whether a request carries the account's secret key."""
        return hmac.compare_digest(_given_key(headers).encode(), self._account.options.secret_key.encode())

    def _expect_allowed(self, asked: Asked) -> None:
        given = _given_key(asked.headers)
        if not given:
            raise invalid("You did not provide an API key.", status=401)
        if not self.is_allowed(asked.headers):
            raise invalid(f"Invalid API Key provided: {given[:8]}{'*' * 8}{given[-4:]}", status=401)
        version = asked.headers.get("stripe-version", stripe.api_version)
        if version != stripe.api_version:
            raise invalid(f"Invalid Stripe API version: {version}. The simulator knows {stripe.api_version} alone.")

    def _once(self, asked: Asked, key: str) -> Answer:
        """Do what is asked, or answer as the first time under the same key."""
        now = self._account.state.now()
        asked_for = (asked.method, asked.path, asked.body)
        kept = self._kept.get(key) if key and asked.method == "POST" else None
        if kept and now - kept.at < _KEY_SECONDS:
            if kept.asked != asked_for:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                    f" Try using a key other than '{key}' if you meant to execute a different request."
                )
                raise Refused(400, {"type": "idempotency_error", "message": message})
            return Answer(kept.answer.status, kept.answer.body, {"Idempotent-Replayed": "true"})
        route, ids = self._find(asked)
        # What is wrong with the parameters is not kept: nothing was begun.
        params = self._read(asked, route)
        expand = params.pop("expand", [])
        try:
            made = route.handler(params, ids)
            answer = Answer(200, self._account.answers.shown(made, expand))
            self.answered.append(answer.body)
        except Refused as refusal:
            answer = _error(refusal)
        if key and asked.method == "POST":
            self._kept[key] = _Kept(asked_for, answer, now)
        return answer

    def _find(self, asked: Asked) -> tuple[Route, tuple[str, ...]]:
        for pattern, route in self._patterns:
            match = pattern.fullmatch(asked.path) if route.method == asked.method else None
            if match:
                return route, match.groups()
        raise invalid(f"Unrecognized request URL ({asked.method}: {asked.path}).", status=404)

    def _read(self, asked: Asked, route: Route) -> Obj:
        kind = asked.headers.get("content-type", "")
        if asked.body and not kind.startswith("application/x-www-form-urlencoded"):
            raise invalid("Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
        params = read_params(read_form("&".join(filter(None, (asked.query, asked.body)))), route.params)
        if ignored := params.keys() - route.done - {"expand"}:
            raise invalid(f"The simulator does not imitate this parameter: {min(ignored)}", param=min(ignored))
        _expect_imitated(params)
        return params


def _expect_imitated(value: Any, within: str = "") -> None:
    """Refuse what stands deeper in the parameters and is not imitated, rather than pass it over."""
    if isinstance(value, list):
        for one in value:
            _expect_imitated(one, within)
    elif isinstance(value, dict):
        if within in _WITHIN and (ignored := value.keys() - _WITHIN[within]):
            raise invalid(
                f"The simulator does not imitate {within}[{min(ignored)}].", param=f"{within}[{min(ignored)}]"
            )
        for name, one in value.items():
            _expect_imitated(one, name)


def _given_key(headers: dict[str, str]) -> str:
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return value.strip()


def _error(refusal: Refused) -> Answer:
    shown: dict[str, Any] = {**refusal.error, "request_log_url": "https://dashboard.stripe.com/test/workbench/logs"}
    return Answer(refusal.status, {"error": shown})
