"""What a simulated WAHA is like; the defaults are those of a real one."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

Engine = Literal["NOWEB", "GOWS", "WEBJS", "WPP"]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of one simulator; on the command line ``--option name=value``."""

    version: Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+$")] = "2026.7.1"
    engine: Engine = "GOWS"
    tier: Literal["CORE", "PLUS"] = "CORE"
    api_key: str = ""
    """Empty: no key is asked for."""
    file: str = ""
    """Where sessions and messages are kept over a restart; empty: nowhere."""
    seed: int = 0
    patience_seconds: Seconds = 10.0
    """How long a call waits for a working session before its 422; half of it for a session that does not exist."""
    start_seconds: Seconds = 1.0
    """From STARTING to WORKING or SCAN_QR_CODE."""
    operation_seconds: Seconds = 3.0
    """What stop, logout and delete take."""
    qr_seconds: Seconds = 20.0
    """Life of a QR code; the first lives three times as long, the sixth is the last."""
    send_seconds: Seconds = 0.0
    """What a send takes."""
    ack_seconds: Seconds = 0.3
    """The longest time before each acknowledgement; it is drawn anew for each."""
    read_share: Share = 1.0
    """The share of delivered messages that are read."""
    metrics_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The resident memory that ``/metrics`` tells; 0: the metrics are switched off."""
    ninth_digit: bool = True
    """Brazilian accounts from area code 31 on have no ninth digit; the other form of a number reaches nobody."""
    missing_suffix: str = "0000"
    """Numbers with this end do not exist; empty: all do."""
    missing: str = ""
    """More numbers that do not exist, separated by commas."""

    @property
    def parsed_version(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def takes_ids(self) -> bool:
        """Client ids: NOWEB and GOWS, from 2026.4.3 on; others ignore them silently."""
        return self.engine in {"NOWEB", "GOWS"} and self.parsed_version >= (2026, 4, 3)

    @property
    def is_free(self) -> bool:
        """From 2026.6.1 on Core has what Plus had: several sessions and files."""
        return self.tier == "PLUS" or self.parsed_version >= (2026, 6, 1)

    @property
    def takes_key_in_query(self) -> bool:
        """``?x-api-key=`` works from 2026.4.3 on."""
        return self.parsed_version >= (2026, 4, 3)


def parse_options(given: Mapping[str, str]) -> Options:
    """Read options from texts; raises ``ValueError`` that names the wrong one."""
    try:
        return msgspec.convert(dict(given), Options, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
