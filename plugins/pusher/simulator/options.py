"""What a simulated Pusher is like; the limits are those of its shared clusters."""

from collections.abc import Mapping
from typing import Annotated

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of one simulator; on the command line ``--option name=value``."""

    app_id: str = "1"
    key: str = "simulator-key"
    """What browsers name the app by."""
    secret: str = "simulator-secret"  # noqa: S105 - of nobody
    """What signs requests and subscriptions; orders under ``/simulator`` need it too."""
    activity_timeout: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 120
    """After so many seconds of silence clients ask whether the connection is alive."""
    max_data_bytes: Annotated[int, msgspec.Meta(ge=1)] = 10_240
    """The longest data of an event."""
    max_batch: Annotated[int, msgspec.Meta(ge=1)] = 10
    """The most events of one request."""


OPTIONS = frozenset(Options.__struct_fields__)
"""The names of all options."""


def parse_options(given: Mapping[str, object]) -> Options:
    """Read options from texts; raises ``ValueError`` that names the wrong one."""
    try:
        return msgspec.convert(given, Options, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
