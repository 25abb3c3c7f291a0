"""What a simulated Evolution server is like; the defaults are those of a real one."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of one simulator; on the command line ``--option name=value``."""

    version: Annotated[str, msgspec.Meta(pattern=r"^[12]\.\d+\.\d+$")] = "2.3.7"
    """``1.x`` speaks the older dialect; 2.4 and later ask for a licence."""
    licensed: bool = False
    """Whether a server from 2.4 on was activated."""
    api_key: str = ""
    """``AUTHENTICATION_API_KEY``; empty: no key is asked for, which a real server never does."""
    server_url: str = "http://localhost:8080"
    """``SERVER_URL``, which webhooks carry."""
    webhook_global_url: str = ""
    """``WEBHOOK_GLOBAL_URL``: gets all events of all instances."""
    expose_in_fetch_instances: bool = True
    """v1 shows tokens in listings and webhooks only with this; v2 always does."""
    saves_messages: bool = True
    """``DATABASE_SAVE_*``: without it look-ups find nothing."""
    seed: int = 0
    create_seconds: Seconds = 5.0
    """What a creation with ``qrcode`` takes."""
    connect_seconds: Seconds = 2.0
    """What a connect takes that starts the connection."""
    start_seconds: Seconds = 1.0
    """From ``connecting`` to the first QR code, or to ``open`` for a number that is signed in."""
    qr_seconds: Seconds = 20.0
    """Life of a QR code; the first lives three times as long."""
    qr_limit: Annotated[int, msgspec.Meta(ge=1)] = 30
    """``QRCODE_LIMIT``: how many QR codes are shown before the server gives up."""
    send_seconds: Seconds = 0.0
    """What a send takes beside its ``delay``."""
    ack_seconds: Seconds = 0.3
    """The longest time before each acknowledgement; it is drawn anew for each."""
    read_share: Share = 1.0
    """The share of delivered messages that are read."""
    retry_seconds: Seconds = 5.0
    """Time before the first repetition of a webhook: v2 doubles it up to 300 s, v1 waits six times it, always."""
    utc_offset_minutes: int = 0
    """The zone of the server's clock: ``date_time`` is local time, though it ends in Z."""
    ninth_digit: bool = True
    """Brazilian accounts from area code 31 on have no ninth digit; the server finds them by either form."""
    missing_suffix: str = "0000"
    """Numbers with this end do not exist; empty: all do."""
    any_group: bool = False
    """Whether every group exists and has the number as a member; else only those that were made."""
    missing: str = ""
    """More numbers that do not exist, separated by commas."""

    @property
    def parsed_version(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def is_v1(self) -> bool:
        """Whether the server speaks the dialect of 1.7 and 1.8."""
        return self.parsed_version < (2, 0, 0)

    @property
    def is_from_2_4(self) -> bool:
        """2.4 takes client ids as ``messageId``, names instances in webhook headers, and wants a licence."""
        return self.parsed_version >= (2, 4, 0)


def parse_options(given: Mapping[str, str]) -> Options:
    """Read options from texts; raises ``ValueError`` that names the wrong one."""
    try:
        return msgspec.convert(dict(given), Options, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
