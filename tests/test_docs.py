"""What the documentation says is so: commands run, links lead somewhere, routes, tables and hooks exist."""

import re
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial" / "first-campaign.md"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "\x1e"


class Step(msgspec.Struct):
    """A command of a page and what the page says it prints."""

    command: str
    answer: str = ""


def steps(block: str) -> list[Step]:
    """Split a console block: a command begins with ``$`` and goes on while a quote or a backslash leaves it open."""
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
    """Whether ``printed`` is ``answer``, in which ``...`` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in answer.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
