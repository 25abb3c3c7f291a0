"""What a simulated mail server is like."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of one simulator; on the command line ``--option name=value``."""

    smtp_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 4587
    """Port of 127.0.0.1 for mail; 0 is any that is free."""
    security: Literal["starttls", "tls"] = "starttls"
    username: str = "messages@example.com"
    password: str = "simulated"  # noqa: S105 - of the simulated service
    ca_file: str = ""
    """Where the certificate of its authority is written, for the plugin's setting of that name."""
    keep: Annotated[int, msgspec.Meta(ge=1)] = 500
    """How many mails the mailbox holds; then the oldest go."""


def parse_options(given: Mapping[str, str]) -> Options:
    """Read options from texts; raises ``ValueError`` that names the wrong one."""
    try:
        return msgspec.convert(dict(given), Options, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
