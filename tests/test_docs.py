"""What the documentation says is so: commands run, links lead somewhere, routes, tables and hooks exist."""

import inspect
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from litestar import Litestar

from core import database
from core.campaigns.schemas import RecipientRead
from core.config import OVERRIDES
from core.notifications import alarms
from core.plugin import hookspecs
from core.runtime import Runtime

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
TUTORIAL = ROOT / "docs" / "tutorial" / "first-campaign.md"
DATA_MODEL = ROOT / "docs" / "reference" / "data-model.md"
ALARMS = ROOT / "docs" / "reference" / "alarms.md"
HOOKS = ROOT / "docs" / "reference" / "hooks.md"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")
ROUTE = re.compile(r"\b(GET|POST|PATCH|PUT|DELETE) (/[\w./{}-]+)")
MARK = "\x1e"

DIAGRAM: Mapping[str, str] = {
    "users": "id email name status profile plan_id stripe_id canceled_at due_access_at"
    " created_at updated_at deleted_at",
    "plans": "id name value unlimited medias reports schedule numbers_limit contacts_limit campaigns_limit"
    " created_at updated_at",
    "servers": "id name url status created_at updated_at",
    "numbers": "id user_id server_id instance status status_connection extra webhook_url"
    " created_at updated_at deleted_at",
    "campaigns": "id user_id number_id public_id name type status schedule_date progress settings"
    " created_at updated_at deleted_at",
    "messages": "id campaign_id delay content media_path type_message created_at updated_at deleted_at",
    "contacts": "id user_id number name variables labels type status created_at updated_at deleted_at",
    "publics": "id user_id name description type created_at updated_at deleted_at",
    "labels": "id user_id name color created_at updated_at deleted_at",
    "public_by_contacts": "id public_id contact_id created_at updated_at",
    "message_by_contacts": "id message_id contact_id delivered readed error created_at updated_at",
    "block_contacts": "id user_id number created_at updated_at",
    "payments": "id user_id gateway transaction_id amount currency status gateway_response created_at updated_at",
    "settings": "id key value description created_at updated_at",
    "configurations": "id user_id key value created_at updated_at",
    "logs": "id user_id action description data created_at",
    "webhooks_log": "id type url payload response_code response_body created_at",
}
"""The original diagram: table to columns."""
MOVED = {"users": {"stripe_id": ("gateway_customers", "customer_id")}}
"""Columns of the diagram that are another table's, since every gateway has its own id of a user."""
DERIVED = {"delivered", "readed", "error"}
"""Columns of ``message_by_contacts`` that are made from others and stand in the API."""
TYPES = {"timestamp with time zone": "timestamptz", "numeric": "numeric(12,2)"}


class Step(msgspec.Struct):
    """A command of a page, and what the page says it prints."""

    command: str
    answer: str = ""


def split_console(block: str) -> list[Step]:
    """A command begins with ``$``, and goes on while a quote or a backslash leaves it open."""
    found: list[Step] = []
    is_open = False
    for line in block.splitlines(keepends=True):
        if is_open:
            found[-1].command += line
        elif line.startswith("$ "):
            found.append(Step(line.removeprefix("$ ")))
        else:
            found[-1].answer += line
            continue
        is_open = line.endswith("\\\n") or found[-1].command.count("'") % 2 == 1
    return found


def fits(answer: str, printed: str) -> bool:
    """Whether ``printed`` is ``answer``, in which ``...`` stands for anything.

    A terminal shows nothing of a byte order mark.
    """
    pattern = ".*".join(re.escape(part) for part in answer.strip().split("..."))
    return re.fullmatch(pattern, printed.strip().lstrip("\ufeff"), re.DOTALL) is not None


def documented_tables() -> dict[str, dict[str, str]]:
    """Read table to column to type from the data model's page."""
    text = DATA_MODEL.read_text(encoding="utf-8").partition("\n## Tables\n")[2]
    sections = re.split(r"^### (\w+)$", text, flags=re.MULTILINE)[1:]
    return {
        name: dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", section, re.MULTILINE))
        for name, section in zip(sections[::2], sections[1::2], strict=True)
    }


async def migrated_tables() -> dict[str, dict[str, str]]:
    """Read the same from the database."""
    rows = await database.fetch(
        "SELECT table_name, column_name, character_maximum_length AS length, CASE data_type WHEN 'ARRAY'"
        " THEN format_type(ltrim(udt_name, '_')::regtype, NULL) || '[]' ELSE data_type END AS data_type"
        " FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name <> 'migration'"
    )
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        kind = TYPES.get(row["data_type"], row["data_type"])
        written = f"varchar({row['length']})" if row["length"] else kind
        found.setdefault(row["table_name"], {})[row["column_name"]] = written
    return found


async def test_the_data_model_is_the_database(runtime: Runtime) -> None:
    del runtime  # needed, since it opens the pool
    documented = {
        table: {column: kind.removesuffix(" or empty") for column, kind in columns.items()}
        for table, columns in documented_tables().items()
    }

    assert documented == await migrated_tables()


@pytest.mark.parametrize("table", DIAGRAM)
def test_every_column_of_the_diagram_has_its_place(table: str) -> None:
    columns = set(DIAGRAM[table].split())
    derived = columns & DERIVED if table == "message_by_contacts" else set()
    for column, (place, name) in MOVED.get(table, {}).items():
        assert name in documented_tables()[place]
        columns.remove(column)

    assert columns - set(documented_tables()[table]) == derived
    assert derived <= set(RecipientRead.__struct_fields__)
    line = next(
        line for line in DATA_MODEL.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{table}` |")
    )
    assert columns <= set(re.findall(r"`(\w+)`", line.split("|")[2]))


def test_every_alarm_is_documented_once_and_so_is_every_subject() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", ALARMS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(get_args(alarms.Kind))
    (subjects,) = re.findall(r"^\| `subject_type` \| .*$", DATA_MODEL.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", subjects)) - {"subject_type"} == set(get_args(alarms.Subject))


def test_every_hook_is_documented_in_its_own_words() -> None:
    text = HOOKS.read_text(encoding="utf-8")
    hooks = [hook for name, hook in inspect.getmembers(hookspecs, inspect.isfunction) if name.startswith("register_")]

    assert set(re.findall(r"^## (register_\w+)$", text, re.MULTILINE)) == {hook.__name__ for hook in hooks}
    for hook in hooks:
        assert f"## {hook.__name__}\n\n{inspect.getdoc(hook)}\n" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        path, _, fragment = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (fragment and fragment not in anchors(found)):
            broken.append(target)

    assert broken == []


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings have, as its readers make them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_route_that_is_named_exists(app: Litestar) -> None:
    shapes = {
        (method.upper(), re.sub(r"{[^}]*}", "{}", path))
        for path, operations in msgspec.to_builtins(app.openapi_schema.to_schema())["paths"].items()
        for method in operations
    }
    wrong = []
    for page in PAGES:
        for method, path in ROUTE.findall(page.read_text(encoding="utf-8")):
            shape = re.sub(r"{[^}]*}|(?<=/)\d+(?=/|$)", "{}", path.rstrip("."))
            if (method, shape) not in shapes:
                wrong.append(f"{page.relative_to(ROOT)}: {method} {path}")

    assert wrong == []


class Walk(msgspec.Struct, frozen=True):
    """A platform of its own and the folder a reader works in."""

    folder: Path
    page: str
    env: Mapping[str, str]


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """The tutorial's two servers, on free ports, in an empty folder."""
    port, phones = _free_ports()
    page = TUTORIAL.read_text(encoding="utf-8")
    page = page.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("127.0.0.1:3000", f"127.0.0.1:{phones}")
    shutil.copy(ROOT / "platform.toml", tmp_path)
    clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
    env = {**clean, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:
        told = stack.enter_context(_running(tmp_path, env, "up", "--port", str(port)))
        token = _wait_for(told, r"One-time set-up token for the first one: (\S+)")
        simulator = stack.enter_context(_running(tmp_path, env, "simulate", "waha", "--port", str(phones)))
        _wait_for(simulator, r"listens on (\S+)")
        yield Walk(tmp_path, page.replace("paste-it-here", token), env)


@contextmanager
def _running(folder: Path, env: Mapping[str, str], *command: str) -> Iterator[Path]:
    """Run a command of ours for the block; yield the file of what it says."""
    said = folder / f"{command[0]}.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.cli", *command], cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


def _wait_for(said: Path, pattern: str) -> str:
    until = time.monotonic() + 60
    while (found := re.search(pattern, said.read_text())) is None:
        assert time.monotonic() < until, said.read_text()
        time.sleep(0.05)
    return found[1]


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_tutorial_does_what_it_says(walk: Walk) -> None:
    blocks: list[tuple[str, str]] = BLOCK.findall(walk.page)
    files = {"csv": "customers.csv", "json": "campaign.json"}
    for kind, text in blocks:
        if kind in files:
            (walk.folder / files[kind]).write_text(text, encoding="utf-8")
    steps = [
        step for kind, text in blocks if kind == "console" and "$ recado " not in text for step in split_console(text)
    ]
    script = "set -eu -o pipefail\n" + "".join(f"echo; echo '{MARK}'\n{step.command}" for step in steps)

    process = subprocess.run(
        ["bash", "-c", script],
        cwd=walk.folder,
        env=walk.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )

    printed = process.stdout.split(f"{MARK}\n")[1:]
    wrong = [
        f"$ {step.command}{said}instead of\n{step.answer}"
        for step, said in zip(steps, printed, strict=False)
        if not fits(step.answer, said)
    ]
    assert wrong == []
    assert (process.returncode, len(printed)) == (0, len(steps))
