from collections.abc import Mapping, Sequence

import pytest

from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.headers import find_header, variable_name
from core.contacts.importing.mapping import FileMap, UnknownMappingError, header_keys, map_columns, read_header


def _map(first_row: Sequence[str], chosen: Mapping[str, str], country: str) -> FileMap:
    return map_columns([first_row], read_header([first_row], country), chosen, country)


def _fields(*headers: str, **chosen: str) -> list[str]:
    return [column.field for column in _map(headers, chosen, "BR").columns]


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        (("Nome", "Número", "Cidade"), ["name", "number", "variables.cidade"]),
        (("Name", "Phone Number", "City"), ["name", "number", "variables.city"]),
        (("Nombre", "Teléfono", "Código postal"), ["name", "number", "variables.codigo_postal"]),
        (("CELULAR", "NOME COMPLETO", "Etiquetas"), ["number", "name", "labels"]),
        (("mobile", "full name", "tags"), ["number", "name", "labels"]),
    ],
)
def test_headers_are_recognised_in_three_languages(headers: tuple[str, ...], fields: list[str]) -> None:
    assert _fields(*headers) == fields


def test_the_column_most_sure_to_be_on_whatsapp_holds_the_number() -> None:
    assert _fields("Telefone", "WhatsApp", "Celular") == ["variables.telefone_2", "number", "variables.celular"]


def test_headers_that_repeat_or_are_empty_keep_their_columns_apart() -> None:
    assert _fields("numero", "Cidade", "cidade", "", "obs") == [
        "number",
        "variables.cidade",
        "variables.cidade_2",
        "variables.column_4",
        "variables.obs",
    ]


def test_the_reason_of_an_error_file_is_no_variable() -> None:
    assert _fields("numero", "recado_reason") == ["number", "ignore"]


def test_empty_columns_at_the_end_are_none() -> None:
    assert _fields("numero", "nome", "", " ") == ["number", "name"]


def test_what_is_chosen_wins_over_what_is_recognised() -> None:
    fields = _map(
        ["Telefone", "Recado", "Apelido", "CPF"],
        {"recado": "number", "Apelido": "name", "CPF": "ignore", "Telefone": "variables.fixo"},
        "BR",
    )

    assert [column.field for column in fields.columns] == ["variables.fixo", "number", "name", "ignore"]


def test_a_file_without_headers_is_mapped_by_its_first_row() -> None:
    found = _map(["(11) 90000-1234", "Ipê Amarelo", "12"], {}, "BR")

    assert isinstance(found, FileMap)
    assert found.header is False
    assert [(column.header, column.field) for column in found.columns] == [
        ("number", "number"),
        ("name", "name"),
        ("column_3", "variables.column_3"),
    ]


@pytest.mark.parametrize(
    ("chosen", "column", "reason"),
    [
        ({"Bairro": "name"}, "Bairro", "The file has no such column."),
        ({"Cidade": "cidade"}, "Cidade", "Must be number, name, labels, ignore or variables.<name>."),
        ({"Cidade": "variables.nome"}, "Cidade", "Must be number, name, labels, ignore or variables.<name>."),
        ({"Cidade": "variables.a b"}, "Cidade", "Must be number, name, labels, ignore or variables.<name>."),
        ({"Cidade": "number", "Telefone": "number"}, "Telefone", "Another column is number already."),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(chosen: dict[str, str], column: str, reason: str) -> None:
    with pytest.raises(UnknownMappingError) as caught:
        _map(["Telefone", "Cidade"], chosen, "BR")

    assert (caught.value.column, str(caught.value)) == (column, reason)


def test_without_a_column_of_numbers_the_file_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match=r"numero, telefone.*The first row is: nome, cidade\."):
        _map(["nome", "cidade"], {}, "BR")


@pytest.mark.parametrize(
    ("count", "reason"),
    [(10_000, "The file has 10000 columns; 200 are the most."), (60, "60 columns for variables; 50 are the most.")],
)
def test_too_many_columns_are_refused(count: int, reason: str) -> None:
    with pytest.raises(UnreadableFileError, match=reason):
        _map(["numero", *(f"x{index}" for index in range(count - (count == 10_000)))], {}, "BR")


def test_variables_have_names_a_template_can_use() -> None:
    assert variable_name("Data de Nascimento") == "data_de_nascimento"
    assert variable_name("2ª opção (%)") == "c_2a_opcao"
    assert variable_name("!!") == ""


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([["nome", "fone"]], 0),
        ([["Clientes", ""], ["Feira de maio"], ["nome", "fone"]], 2),
        ([["Clientes"], ["apelido", "contato 1"], ["Sol", "11 90000-1234"]], 1),
        ([["11 90000-1234"], ["Sol", "fone"]], None),
        ([["Clientes"], ["Sol", "11 90000-1234"]], None),
        ([["lista"], ["11 90000-1234"]], 0),
        ([["lista"], ["contato"]], 0),
        ([["Sol", "11 90000-1234"]], None),
        ([["apelido", "bairro"], ["fone", "x"]], 0),
    ],
)
def test_the_row_of_headers_is_found_below_titles_and_no_contact_is_passed_over(
    rows: list[list[str]], place: int | None
) -> None:
    assert find_header(rows, "BR") == place


def test_a_title_above_contacts_without_headers_does_not_hide_their_columns() -> None:
    header = read_header([["Clientes"], ["Sol", "11 90000-1234", "x"]], "BR")

    assert (header.names, header.skipped, header.present) == (["name", "number", "column_3"], 0, False)


def test_kept_names_tell_columns_of_one_name_apart() -> None:
    assert header_keys(["Fone", "fone!", "", "Cidade"]) == ["fone", "fone#2", "column3", "cidade"]


@pytest.mark.parametrize(
    "header",
    ["Número de telefone", "TELEFONO", "Phone 1 - Value", "Mobile Phone", "Telemóvel", "nº do celular", "whats-app"],
)
def test_more_names_of_the_column_of_numbers(header: str) -> None:
    assert _fields("nome", header) == ["name", "number"]
