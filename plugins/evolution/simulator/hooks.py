"""The configuration of webhooks, in the form of either dialect."""

from typing import Any

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.http import Refused, Reply, Request, Router, error_reply, invalid, json_reply
from plugins.evolution.simulator.state import State, Webhook
from plugins.evolution.simulator.webhooks import EVENTS


class Hooks:
    """The calls of ``/webhook``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self, router: Router) -> None:
        """Add the calls."""
        router.add("POST", "/webhook/set/{instance}", self._set)
        router.add("GET", "/webhook/find/{instance}", self._find)

    async def _set(self, request: Request) -> Reply:
        instance = self._state.instances[request.names["instance"]]
        options, fields = self._state.options, request.fields()
        hook = read_v1(fields) if options.is_v1 else read_v2(fields)
        if hook is None:
            raise Refused(invalid('instance requires property "url"'))
        instance.webhook = hook
        shown = shapes.webhook(hook, instance, options)
        if options.is_v1:
            shown = {"webhook": {"instanceName": instance.name, "webhook": shown}}
        return json_reply(shown, 201)

    async def _find(self, request: Request) -> Reply:
        instance = self._state.instances[request.names["instance"]]
        hook = instance.webhook
        return json_reply(shapes.webhook(hook, instance, self._state.options) if hook else None)


def read_v1(fields: dict[str, Any], *, of_creation: bool = False) -> Webhook | None:
    """Read the flat form of v1, which has no headers; a creation calls the address ``webhook``.

    Raises:
        Refused: It is no such form: 400.
    """
    url = fields.get("webhook" if of_creation else "url")
    if not url:
        return None
    events = _events(fields.get("events", []), "")
    enabled = of_creation or fields.get("enabled") is True
    by_events, base64 = fields.get("webhook_by_events") is True, fields.get("webhook_base64") is True
    return Webhook(_url(url), enabled, events, by_events, base64)


def read_v2(fields: dict[str, Any], *, of_creation: bool = False) -> Webhook | None:
    """Read the nested form of v2; what lies flat beside it is not seen.

    Raises:
        Refused: It is no such form: 400.
    """
    given = fields.get("webhook")
    if given is None and of_creation:
        return None
    if not isinstance(given, dict):
        missing = 'instance requires property "webhook"' if given is None else "webhook is not of a type(s) object"
        raise Refused(invalid(missing))
    headers = given.get("headers") or {}
    if not isinstance(headers, dict):
        raise Refused(invalid("webhook.headers is not of a type(s) object"))
    enabled = given.get("enabled", of_creation) is True
    if not given.get("url"):
        if not of_creation:
            raise Refused(invalid('webhook requires property "url"'))
        return None
    events = _events(given.get("events", []), "webhook.")
    by_events, base64 = given.get("byEvents") is True, given.get("base64") is True
    texts = {str(name): str(value) for name, value in headers.items()}
    return Webhook(_url(given["url"]), enabled, events, by_events, base64, texts)


def _url(given: object) -> str:
    if not isinstance(given, str) or not given.startswith(("http://", "https://")):
        raise Refused(error_reply(400, ['Invalid "url" property']))
    return given


def _events(given: object, prefix: str) -> list[str]:
    if not isinstance(given, list):
        raise Refused(invalid(f"{prefix}events is not of a type(s) array"))
    wrong = [place for place, event in enumerate(given) if event not in EVENTS]
    if wrong:
        messages = [f"{prefix}events[{place}] is not one of enum values: {','.join(EVENTS)}" for place in wrong]
        raise Refused(invalid(*messages))
    return given or list(EVENTS)
