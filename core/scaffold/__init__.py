"""A new messaging plugin that works: it passes the contract with its own simulator, and wants its service's facts."""

import keyword
import re
import string
from pathlib import Path

from core.errors import OperatorError

_TEMPLATE = Path(__file__).parent / "template"
_SUFFIX = ".template"


def create_plugin(name: str, plugins: Path, tests: Path) -> list[Path]:
    """Write the plugin ``name`` into ``plugins/<name>`` and its tests into ``tests/<name>``; return the files.

    Raises:
        OperatorError: The name cannot be one, or something is there already; then nothing is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,39}", name) or keyword.iskeyword(name):
        raise OperatorError(f"{name!r} cannot name a plugin: write 2 to 40 lower-case letters, digits and _.")
    for folder in (plugins / name, tests / name):
        if folder.exists():
            raise OperatorError(f"{folder} exists already: choose another name, or remove it first.")
    words = {"name": name, "title": "".join(part.capitalize() for part in name.split("_"))}
    written = []
    for source in sorted(_TEMPLATE.glob(f"*{_SUFFIX}")):
        file_name = source.name.removesuffix(_SUFFIX)
        target = (tests if file_name.startswith("test_") else plugins) / name / file_name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(string.Template(source.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
        written.append(target)
    return written
