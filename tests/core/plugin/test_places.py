"""Plugins are found by name, in installed packages and by the path of their folder."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import OperatorError
from core.plugin import places
from core.plugin.places import (
    FOLDERS_VARIABLE,
    add_folder,
    development_folders,
    find_module,
    import_module,
    locate,
)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Take back what a test made importable."""
    before, finders = set(sys.modules), [*sys.meta_path]
    yield
    for module in set(sys.modules) - before:
        if module.startswith(("plugins.", "elsewhere", "packaged")):
            del sys.modules[module]
    sys.meta_path[:] = finders
    for finder in (places._as_plugin, places._as_package):
        finder.folders.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "elsewhere"
    made.mkdir()
    (made / "__init__.py").write_text("")
    (made / "part.py").write_text("VALUE = 1\n")
    (made / "user.py").write_text("from elsewhere.part import VALUE\n")
    (made / "member.py").write_text("from plugins.elsewhere.part import VALUE\n")
    return made


def package(site: Path, entry: str) -> None:
    (site / "packaged").mkdir(parents=True)
    for name in ("__init__", "plugin", "simulator"):
        (site / "packaged" / f"{name}.py").write_text("")
    info = site / "recado_packaged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: recado-packaged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[recado.plugins]\nparcel = {entry}\n")


def test_a_plugin_of_the_folder_plugins() -> None:
    place = locate("waha")

    assert (place.name, place.package, place.folder.name) == ("waha", "plugins.waha", "waha")
    assert find_module(place, "simulator") == "plugins.waha.simulator"
    assert find_module(place, "nothing") is None


@pytest.mark.parametrize("entry", ["packaged:Plugin", "packaged.plugin:Plugin"])
def test_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    package(tmp_path / "site", entry)
    monkeypatch.syspath_prepend(tmp_path / "site")

    place = locate("parcel")

    assert (place.name, place.package, place.folder) == ("parcel", "packaged", tmp_path / "site" / "packaged")
    assert find_module(place, "simulator") == "packaged.simulator"


@pytest.mark.parametrize("module", ["part", "user", "member"])
def test_a_folder_elsewhere_imports_itself_under_both_names(folder: Path, module: str) -> None:
    place = locate(str(folder))

    assert (place.name, place.package, place.folder) == ("elsewhere", "plugins.elsewhere", folder)
    assert import_module(place, f"plugins.elsewhere.{module}").VALUE == 1


def test_a_folder_elsewhere_takes_the_place_of_another_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "waha").mkdir()
    (tmp_path / "waha" / "__init__.py").write_text("")

    add_folder(tmp_path / "waha")

    assert locate("waha").folder == tmp_path / "waha"


def test_a_folder_elsewhere_hides_no_module_of_python(tmp_path: Path) -> None:
    (tmp_path / "wave").mkdir()
    (tmp_path / "wave" / "__init__.py").write_text("")

    add_folder(tmp_path / "wave")

    assert importlib.import_module("wave").__file__ != str(tmp_path / "wave" / "__init__.py")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere", "There is no plugin nowhere in the folder plugins, and no installed package offers it."),
        ("./nowhere", "nowhere is no plugin: a folder with an __init__.py is one."),
        (".", ". is no plugin: a folder with an __init__.py is one."),
    ],
)
def test_what_is_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(OperatorError, match=told):
        locate(name)


def test_a_folder_whose_name_cannot_be_a_plugins(tmp_path: Path) -> None:
    (tmp_path / "My-Plugin").mkdir()
    (tmp_path / "My-Plugin" / "__init__.py").write_text("")

    with pytest.raises(OperatorError, match="its name must be lower-case letters, digits and _"):
        add_folder(tmp_path / "My-Plugin")


def test_a_plugin_that_cannot_be_imported_is_named(folder: Path) -> None:
    (folder / "__init__.py").write_text("raise RuntimeError('at import')\n")

    with pytest.raises(OperatorError, match=r"The plugin elsewhere cannot be imported: RuntimeError: at import"):
        find_module(locate(str(folder)), "part")


def test_the_folders_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert FOLDERS_VARIABLE == "RECADO_PLUGIN_FOLDERS"
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    assert development_folders() == []
    monkeypatch.setenv(FOLDERS_VARIABLE, "/a:/b")
    assert development_folders() == [Path("/a"), Path("/b")]
