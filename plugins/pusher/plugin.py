"""Register the Pusher notifier."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from core.plugin import Notifier, Secret, Settings, hookimpl
from plugins.pusher.notifier import App, PusherNotifier
from plugins.pusher.origins import Origin, parse_origin

_NAME = r"^[A-Za-z0-9_-]{1,100}$"
_ORIGIN = r"^(https?://[^\s/?#@]+)?$"


class PusherSettings(Settings, frozen=True):
    """The ``[plugins.pusher]`` table of platform.toml: one app of Pusher Channels, or of a compatible server."""

    app_id: Annotated[
        str,
        msgspec.Meta(
            description="Number of the app, as its page says it.",
            examples=["1880783"],
            pattern=_NAME,
        ),
    ]
    key: Annotated[
        str,
        msgspec.Meta(
            description="Key of the app, which browsers are told too.",
            examples=["your-key"],
            pattern=_NAME,
        ),
    ]
    secret: Annotated[Secret, msgspec.Meta(description="Secret of the app, as env or file.")]
    cluster: Annotated[
        str, msgspec.Meta(description="Pusher's cluster that the app was made in.", pattern=r"^[a-z0-9-]{1,40}$")
    ] = "sa1"
    host: Annotated[
        str,
        msgspec.Meta(
            description="Address of a compatible server, such as Soketi or Reverb; empty: Pusher's own, with TLS.",
            examples=["http://127.0.0.1:6001"],
            pattern=_ORIGIN,
        ),
    ] = ""
    public_host: Annotated[
        str,
        msgspec.Meta(
            description="Address at which browsers reach that server, where it is another one than host.",
            examples=["https://live.example.com"],
            pattern=_ORIGIN,
        ),
    ] = ""
    timeout_seconds: Annotated[
        float, msgspec.Meta(description="Seconds one call may take before it counts as unanswered.", gt=0, le=120)
    ] = 10.0


class Plugin:
    """The Pusher plugin; raises ``ValueError`` where an address in the settings is none."""

    Settings = PusherSettings
    requires = ">=1.0,<2"

    def __init__(self, settings: PusherSettings) -> None:
        self._notifier = PusherNotifier(
            App(
                app_id=settings.app_id,
                key=settings.key,
                secret=settings.secret,
                cluster=settings.cluster,
                server=_origin("host", settings.host),
                public=_origin("public_host", settings.public_host),
                timeout_seconds=settings.timeout_seconds,
            )
        )

    @hookimpl
    def register_notifiers(self) -> Iterable[Notifier]:
        """Return the one notifier, named ``pusher``."""
        return [self._notifier]


def _origin(setting: str, text: str) -> Origin | None:
    return parse_origin(setting, text) if text else None
