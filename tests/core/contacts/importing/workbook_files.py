"""Workbooks as tests need them, made part by part: exactly the XML that is under test."""

import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
SHEET = f'<worksheet xmlns="{MAIN}"><sheetData>%s</sheetData></worksheet>'


def workbook(
    rows: str,
    *,
    shared: Sequence[str] = (),
    styles: str = "",
    sheets: Mapping[str, str] | None = None,
    states: Mapping[str, str] | None = None,
    properties: str = "",
    parts: Mapping[str, str] | None = None,
) -> bytes:
    """Return a workbook whose sheet ``Dados`` has ``rows``, with further ``sheets`` before it; ``states`` hide some."""
    named = {**(sheets or {}), "Dados": rows}
    listed = "".join(
        f'<sheet name="{name}" sheetId="{place}" r:id="s{place}" state="{(states or {}).get(name, "visible")}"/>'
        for place, name in enumerate(named, start=1)
    )
    related = "".join(
        f'<Relationship Id="s{place}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{place}.xml"/>'
        for place in range(1, len(named) + 1)
    )
    found = {
        "_rels/.rels": _relations(
            f'<Relationship Id="r1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/>'
        ),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{properties}'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            f'{related}<Relationship Id="x1" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
            f'<Relationship Id="x2" Type="{RELATIONS}/styles" Target="/xl/styles.xml"/>'
        ),
        **{f"xl/worksheets/sheet{place}.xml": SHEET % cells for place, cells in enumerate(named.values(), start=1)},
    }
    if shared:
        found["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{"".join(f"<si>{item}</si>" for item in shared)}</sst>'
    if styles:
        found["xl/styles.xml"] = f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
    return packed({**found, **(parts or {})})


def packed(parts: Mapping[str, str]) -> bytes:
    """Return a container with these parts."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return out.getvalue()


def table(*rows: Sequence[str | int | float]) -> str:
    """Return rows of plain cells: texts inline, numbers as numbers."""
    return "".join(
        f'<row r="{line}">{"".join(cell(column, line, value) for column, value in enumerate(row))}</row>'
        for line, row in enumerate(rows, start=1)
    )


def cell(column: int, line: int, value: str | float) -> str:
    """Return one cell."""
    place = f"{chr(ord('A') + column)}{line}"
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>' if value else ""
    return f'<c r="{place}"><v>{value!r}</v></c>'


def _relations(inner: str) -> str:
    return f'<Relationships xmlns="{PACKAGE}">{inner}</Relationships>'
