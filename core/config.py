"""platform.toml as typed values; unknown keys are refused and every problem is named at once."""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from core.errors import OperatorError
from core.plugin.secret import Secret
from core.plugin.validation import Problem, validate_table

DEFAULT_PATH = Path("platform.toml")
PATH_VARIABLE = "RECADO_CONFIG"
"""Environment variable that names another file than ``platform.toml``."""

OVERRIDES: Mapping[str, tuple[str, str]] = {
    "RECADO_DATABASE_URL": ("database", "url"),
    "RECADO_REDIS_URL": ("redis", "url"),
    "RECADO_SECRET_KEY": ("server", "secret_key"),
    "RECADO_HOST": ("server", "host"),
    "RECADO_PORT": ("server", "port"),
    "RECADO_PUBLIC_URL": ("server", "public_url"),
    "RECADO_DATA": ("paths", "data"),
    "RECADO_LOG_LEVEL": ("logging", "level"),
}
"""Environment variables that take the place of a key: for containers, and from ``recado up`` to what it starts."""


DEMO_PLUGINS = "RECADO_DEMO_PLUGINS"
"""Environment variable with tables of plugins as JSON, from ``recado up --demo`` to what it starts; others win."""


class ConfigError(OperatorError):
    """platform.toml cannot be used; ``str(error)`` lists every problem, a line each."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{path} cannot be used:\n{listed}")


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the API is reached."""

    host: Annotated[str, msgspec.Meta(description="Address to listen on; 0.0.0.0 for every interface.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(description="Port to listen on.", ge=1, le=65535)] = 8000
    public_url: Annotated[
        str,
        msgspec.Meta(description="The address others reach this platform by: webhooks, links, cookies."),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Addresses or networks of reverse proxies whose X-Forwarded-For is believed."),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], msgspec.Meta(description="Origins of web frontends that may call the API from a browser.")
    ] = ()
    secret_key: Annotated[
        Secret | None,
        msgspec.Meta(
            description="Encrypts secrets at rest; made on the first run and kept under paths.data when absent."
        ),
    ] = None
    registration: Annotated[bool, msgspec.Meta(description="Whether anybody may register.")] = True

    @property
    def base_url(self) -> str:
        """The public address, or the local one while none is configured."""
        return self.public_url.rstrip("/") or self.local_url

    @property
    def local_url(self) -> str:
        """The address on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class AccountsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who may come in, and how."""

    session_days: Annotated[
        int, msgspec.Meta(description="Days without use after which a sign-in ends.", ge=1, le=365)
    ] = 7
    confirm_email: Annotated[
        bool, msgspec.Meta(description="Whether a new account must confirm its e-mail address before it is used.")
    ] = False
    administrators_need_two_factor: Annotated[
        bool, msgspec.Meta(description="Whether administrators must have two-factor sign-in to administer.")
    ] = False


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests a client may make in a minute."""

    per_minute: Annotated[
        int, msgspec.Meta(description="For each token, or for each address without one.", ge=1, le=1_000_000)
    ] = 60
    dashboard_per_minute: Annotated[
        int, msgspec.Meta(description="For each sign-in by cookie, as the dashboard's.", ge=1, le=1_000_000)
    ] = 240
    sign_in_per_minute: Annotated[
        int,
        msgspec.Meta(description="For each address: sign-in, registration and forgotten passwords.", ge=1, le=10_000),
    ] = 10
    refused_webhooks_per_minute: Annotated[
        int,
        msgspec.Meta(
            description="For each address: deliveries with a wrong token or signature; others never count and always"
            " pass.",
            ge=1,
            le=1_000_000,
        ),
    ] = 300


class DatabaseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """PostgreSQL 15 or newer; without a url an embedded one is started by ``recado up``."""

    url: Annotated[
        Secret | None, msgspec.Meta(description="postgresql://user:password@host:5432/name, as env or file.")
    ] = None
    pool_size: Annotated[int, msgspec.Meta(description="Connections each process may open.", ge=2, le=200)] = 12


class RedisConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Redis 7 or Valkey 8 and newer; without a url an embedded Valkey is started by ``recado up``."""

    url: Annotated[Secret | None, msgspec.Meta(description="redis://:password@host:6379/0, as env or file.")] = None


class PathsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where files are kept."""

    data: Annotated[
        str, msgspec.Meta(description="Folder of the embedded servers, media and the generated secret key.")
    ] = "./data"


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How much one worker process does at a time."""

    processes: Annotated[int, msgspec.Meta(description="Worker processes that `recado up` starts.", ge=1, le=64)] = 2
    threads: Annotated[int, msgspec.Meta(description="Queue messages one process works on at once.", ge=2, le=64)] = 8
    send_slots: Annotated[
        int, msgspec.Meta(description="Messages one process may have on the wire at once.", ge=1, le=1024)
    ] = 64


class OutboundConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where addresses that tenants enter may lead beside the public internet."""

    allowed_hosts: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Names in private networks that may be called all the same."),
    ] = ()
    allowed_networks: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Private networks that may be called, such as 10.1.0.0/16."),
    ] = ()

    def __post_init__(self) -> None:
        """Refuse what is no network."""
        for network in self.allowed_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"allowed_networks: {error}; write it as 10.1.0.0/16") from None

    @property
    def hosts(self) -> frozenset[str]:
        """The allowed names as they are compared."""
        return frozenset(host.lower().removesuffix(".") for host in self.allowed_hosts)

    @property
    def networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The allowed networks."""
        return tuple(ipaddress.ip_network(network) for network in self.allowed_networks)


class MediaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Files that messages carry: where they are kept, how large they may be, how they reach messaging servers."""

    store: Annotated[
        Literal["folder", "s3"],
        msgspec.Meta(
            description="Where files are kept: in a folder under paths.data, or in an S3-compatible bucket (s3)."
        ),
    ] = "folder"
    bucket: Annotated[str, msgspec.Meta(description="Name of the bucket.")] = ""
    endpoint: Annotated[
        str, msgspec.Meta(description="Address of an S3-compatible service; empty for Amazon's own.")
    ] = ""
    region: Annotated[str, msgspec.Meta(description="Region of the bucket.")] = "us-east-1"
    access_key: Annotated[
        Secret | None,
        msgspec.Meta(description="Access key, as env or file; without one, that of the machine's role is used."),
    ] = None
    secret_key: Annotated[Secret | None, msgspec.Meta(description="Secret key, as env or file.")] = None
    image_megabytes: Annotated[
        int,
        msgspec.Meta(description="Largest image in MiB; the limits are WhatsApp's own unless changed.", ge=1, le=2048),
    ] = 5
    audio_megabytes: Annotated[int, msgspec.Meta(description="Largest audio file in MiB.", ge=1, le=2048)] = 16
    video_megabytes: Annotated[int, msgspec.Meta(description="Largest video in MiB.", ge=1, le=2048)] = 16
    document_megabytes: Annotated[int, msgspec.Meta(description="Largest document in MiB.", ge=1, le=2048)] = 100
    delivery: Annotated[
        Literal["auto", "url", "content"],
        msgspec.Meta(
            description="How files reach messaging servers: by our signed address (url), within the request (content),"
            " or small ones within the request and others by address (auto)."
        ),
    ] = "auto"
    signed_url_minutes: Annotated[
        int, msgspec.Meta(description="How long a signed address works.", ge=15, le=7 * 24 * 60)
    ] = 120
    fetch_seconds: Annotated[
        int, msgspec.Meta(description="The longest the download of a file given by its address may take.", ge=5, le=900)
    ] = 120

    def __post_init__(self) -> None:
        """Refuse a bucket that cannot be addressed."""
        if self.store == "s3" and not self.bucket:
            raise ValueError('store = "s3" needs a bucket: write bucket = "..."')
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key belong together: write both or none")


class ImportsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Files of contacts that users upload."""

    megabytes: Annotated[int, msgspec.Meta(description="Largest file in MiB.", ge=1, le=2048)] = 256
    unpacked_megabytes: Annotated[
        int, msgspec.Meta(description="What a workbook may take in MiB when it is unpacked.", ge=1, le=16_384)
    ] = 1024


class LoggingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], msgspec.Meta(description="The least severe level shown.")
    ] = "info"
    format: Annotated[
        Literal["text", "json"], msgspec.Meta(description="text for people, json for log collectors.")
    ] = "text"


class PlatformConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of platform.toml."""

    server: ServerConfig = ServerConfig()
    accounts: AccountsConfig = AccountsConfig()
    limits: LimitsConfig = LimitsConfig()
    database: DatabaseConfig = DatabaseConfig()
    redis: RedisConfig = RedisConfig()
    paths: PathsConfig = PathsConfig()
    worker: WorkerConfig = WorkerConfig()
    media: MediaConfig = MediaConfig()
    imports: ImportsConfig = ImportsConfig()
    outbound: OutboundConfig = OutboundConfig()
    logging: LoggingConfig = LoggingConfig()
    plugins: dict[str, dict[str, object]] = {}

    @property
    def data_folder(self) -> Path:
        """The data folder as an absolute path."""
        return Path(self.paths.data).absolute()


def load_config(path: Path | None = None) -> PlatformConfig:
    """Read ``path``, else the file named by ``RECADO_CONFIG``, else ``platform.toml``; then apply ``OVERRIDES``.

    Only the last may be absent; then everything has its default.

    Raises:
        ConfigError: With every problem of every table but the plugins' own, which the loader checks.
    """
    named = os.environ.get(PATH_VARIABLE)
    chosen = path or (Path(named) if named else DEFAULT_PATH)
    tables: dict[str, object] = {}
    if chosen is not DEFAULT_PATH or chosen.exists():
        tables = _read_tables(chosen)
    return parse_config(_with_demo_plugins(_with_overrides(tables)), chosen)


def server_variables(config: PlatformConfig) -> dict[str, str]:
    """Return the environment variables that hand the addresses of ``config`` to another ``load_config``."""
    urls = {"RECADO_DATABASE_URL": config.database.url, "RECADO_REDIS_URL": config.redis.url}
    return {variable: url.reveal() for variable, url in urls.items() if url is not None}


def parse_config(tables: Mapping[str, object], path: Path = DEFAULT_PATH) -> PlatformConfig:
    """Validate the tables of an already decoded platform.toml; raises ``ConfigError`` as ``load_config`` does."""
    config, problems = validate_table(PlatformConfig, tables, "")
    if config is None:
        raise ConfigError(path, problems)
    return config


def _read_tables(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path, [Problem("", "", f"cannot be read: {error.strerror or error}")]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(path, [Problem("", "", f"is not valid TOML: {error}")]) from None


def _with_overrides(tables: Mapping[str, object]) -> dict[str, object]:
    merged = dict(tables)
    for variable, (table, key) in OVERRIDES.items():
        text = os.environ.get(variable)
        known = merged.get(table, {})
        if text and isinstance(known, Mapping):
            merged[table] = {**known, key: int(text) if key == "port" and text.isdecimal() else text}
    return merged


def _with_demo_plugins(tables: dict[str, object]) -> dict[str, object]:
    text = os.environ.get(DEMO_PLUGINS)
    known = tables.get("plugins", {})
    if not text or not isinstance(known, Mapping):
        return tables
    return {**tables, "plugins": {**msgspec.json.decode(text, type=dict[str, dict[str, object]]), **known}}
