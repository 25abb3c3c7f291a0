import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.campaigns.rendering import (
    FILTERS,
    MAX_TEMPLATE_LENGTH,
    MAX_TEXT_LENGTH,
    TemplateError,
    compile_template,
    unknown_variables,
)


def _render(source: str, seed: str = "1:1", **variables: str) -> str:
    return compile_template(source).render(variables, seed)


class TestVariables:
    def test_stand_for_their_values(self) -> None:
        assert _render("Oi {{ nome }}, {{cidade}}!", nome="Ana", cidade="Recife") == "Oi Ana, Recife!"

    def test_absent_ones_are_empty(self) -> None:
        assert _render("Oi {{ nome }}!") == "Oi !"

    def test_are_named(self) -> None:
        template = compile_template("{{ nome }} {{ nome | upper }} {a|{{ cidade }}} {{ 'x' }}")
        assert template.names == {"nome", "cidade"}

    def test_a_text_without_any(self) -> None:
        assert _render("Olá { mundo } | fim }\n") == "Olá { mundo } | fim }\n"

    def test_comments_and_raw_parts_are_jinjas(self) -> None:
        assert _render("a{# never shown #}b{% raw %}{{ x }}{% endraw %}") == "ab{{ x }}"

    def test_constants(self) -> None:
        assert _render("{{ 'a' }}{{ 5 }}{{ 1.5 }}") == "a51.5"


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ("capitalize", "Ana maria "),
            ("first_word", "ana"),
            ("lower", "ana maria "),
            ("title", "Ana Maria "),
            ("trim", "ana MARIA"),
            ("truncate(3)", "ana"),
            ("upper", "ANA MARIA "),
            ("default('x')", "ana MARIA "),
            ("first_word | upper | truncate(2)", "AN"),
        ],
    )
    def test_change_the_value(self, filters: str, expected: str) -> None:
        assert _render(f"{{{{ v | {filters} }}}}", v="ana MARIA ") == expected

    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("{{ v | default('amigo') }}", "amigo"),
            ("{{ v | default(7) }}", "7"),
            ("{{ v | default }}", ""),
            ("{{ v | first_word }}", ""),
            ("{{ v | truncate }}", ""),
        ],
    )
    def test_of_nothing(self, source: str, expected: str) -> None:
        assert _render(source) == expected

    def test_without_a_length_truncate_leaves_255_characters(self) -> None:
        assert _render("{{ v | truncate }}", v="x" * 300) == "x" * 255

    def test_every_one_takes_any_text(self) -> None:
        for name in FILTERS:
            assert isinstance(_render(f"{{{{ v | {name} }}}}", v="\U0001f600 ßŉ\u0301\ud800"), str)


class TestRefused:
    @pytest.mark.parametrize(
        "construct",
        [
            "{% if nome %}x{% endif %}",
            "{% for x in nome %}x{% endfor %}",
            "{% set x = 1 %}",
            "{% include 'x' %}",
            "{% import 'x' as y %}",
            "{% extends 'x' %}",
            "{% block b %}{% endblock %}",
            "{% macro m() %}{% endmacro %}",
            "{% filter upper %}x{% endfilter %}",
            "{% with %}{% endwith %}",
            "{% autoescape true %}{% endautoescape %}",
            "{{ nome.upper }}",
            "{{ nome.__class__ }}",
            "{{ nome['x'] }}",
            "{{ nome[0] }}",
            "{{ nome[1:2] }}",
            "{{ nome() }}",
            "{{ range(10) }}",
            "{{ lipsum() }}",
            "{{ 1 + 1 }}",
            "{{ 2 ** 99 }}",
            "{{ 'a' * 999 }}",
            "{{ nome ~ 'x' }}",
            "{{ -1 }}",
            "{{ not nome }}",
            "{{ nome and x }}",
            "{{ nome == 'x' }}",
            "{{ nome in x }}",
            "{{ nome is defined }}",
            "{{ nome if x else y }}",
            "{{ [nome] }}",
            "{{ (nome, x) }}",
            "{{ {'a': 1} }}",
            "{{ none }}",
            "{{ true }}",
            "{{ nome | default(x) }}",
            "{{ nome | default(x='y') }}",
            "{{ nome | default(*x) }}",
            "{{ nome | default(**x) }}",
            "{{ nome | default('a', true) }}",
            "{{ nome | default(true) }}",
            "{{ nome | default([1]) }}",
            "{{ nome | truncate('x') }}",
            "{{ nome | truncate(1.5) }}",
            "{{ nome | truncate(5, true) }}",
            "{{ nome | upper('x') }}",
            "{{ nome | trim('x') }}",
            "{{ nome | trim(1) }}",
            "{{ nome | safe }}",
            "{{ nome | format('x') }}",
            "{{ nome | attr('x') }}",
            "{{ nome | map('upper') }}",
            "{{ nome | nothing }}",
            "{{ }}",
            "{{ nome",
            "{{ nome | }}",
            "{# nome",
            "{% raw %}x",
            "{{ 'a }}",
            r"{{ '\ud800' }}",
            r"{{ '\x00' }}",
            "{{ nome | default(0x" + "f" * 3900 + ") }}",
            "{{ 0x" + "f" * 3900 + " }}",
            "{{ 1" + "0" * 16 + " }}",
        ],
    )
    def test_with_its_line(self, construct: str) -> None:
        with pytest.raises(TemplateError) as caught:
            compile_template(f"first\nsecond\n{construct}")
        assert caught.value.line == 3
        assert str(caught.value).startswith(f"Line 3, column {caught.value.column}: ")

    @pytest.mark.parametrize(
        ("construct", "column"),
        [
            ("  {% if nome %}x{% endif %}", 3),
            ("Oi {{ nome | nothing }}", 14),
            ("{{ nome }} {{ nome | truncate('x') }}", 22),
            ("{{ a + b }}", 6),
            ("{{ nome.lower }}", 8),
            ("{{ a }} {{ f() }}", 9),
            ("Oi {{ nome | default(10000000000000000) }}", 4),
            ("Oi {{ nome", 4),
        ],
    )
    def test_with_its_column(self, construct: str, column: int) -> None:
        with pytest.raises(TemplateError) as caught:
            compile_template(f"{{{{ a }}}}\n{construct}")
        assert (caught.value.line, caught.value.column) == (2, column)

    def test_an_unknown_filter_names_the_allowed_ones(self) -> None:
        with pytest.raises(TemplateError, match="there is no filter wordcount; allowed are capitalize, default,"):
            compile_template("{{ nome | wordcount }}")

    def test_too_long(self) -> None:
        assert compile_template("x" * MAX_TEMPLATE_LENGTH).render({}, "") == "x" * MAX_TEMPLATE_LENGTH
        with pytest.raises(TemplateError, match="longer than 4096"):
            compile_template("x" * (MAX_TEMPLATE_LENGTH + 1))

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
    def test_what_no_json_carries(self, text: str) -> None:
        with pytest.raises(TemplateError, match="cannot be sent"):
            compile_template(text)

    @pytest.mark.parametrize(
        "source",
        [
            "{{ " + "(" * 2000 + "a" + ")" * 2000 + " }}",
            "{{ " + "[" * 2000 + " }}",
            "{{ " + "not " * 1000 + "a }}",
            "{{ " + "-" * 4000 + "1 }}",
            "{{ " + "a." * 2000 + "a }}",
            "{{ " + "a ** " * 800 + "a }}",
            "{{ " + "a if b else " * 300 + "c }}",
        ],
    )
    def test_deep_expressions(self, source: str) -> None:
        with pytest.raises(TemplateError):
            compile_template(source)


class TestSpintax:
    def test_chooses_one(self) -> None:
        assert {_render("{a|b|c}", seed=str(seed)) for seed in range(50)} == {"a", "b", "c"}

    def test_nested(self) -> None:
        assert {_render("{a|{b|c}d}", seed=str(seed)) for seed in range(50)} == {"a", "bd", "cd"}

    def test_an_empty_choice(self) -> None:
        assert {_render("x{|!}", seed=str(seed)) for seed in range(20)} == {"x", "x!"}

    def test_with_variables_and_filters(self) -> None:
        found = {_render("{Oi {{ n | upper }}|Olá}", seed=str(seed), n="Ana") for seed in range(20)}
        assert found == {"Oi ANA", "Olá"}

    def test_equal_seeds_choose_equally(self) -> None:
        template = compile_template("{a|b|c|d} {e|f|g|h} {i|j|k|l}")
        assert len({template.render({}, "7:9") for _ in range(20)}) == 1

    def test_other_seeds_choose_otherwise(self) -> None:
        template = compile_template("{a|b|c|d} {e|f|g|h} {i|j|k|l}")
        assert len({template.render({}, f"7:{contact}") for contact in range(100)}) > 20

    def test_a_variable_does_not_change_the_choice(self) -> None:
        template = compile_template("{{ n }}{a|b|c|d}{e|f|g|h}")
        assert template.render({"n": ""}, "5") == template.render({"n": "x"}, "5").removeprefix("x")

    @pytest.mark.parametrize("source", ["{a}", "{", "}", "a | b", "{a {b} c}", "{a|b", "x} {y", "{}", "|"])
    def test_other_braces_stay(self, source: str) -> None:
        assert _render(source) == source

    @pytest.mark.parametrize("source", ["{a {b|c} d}", "{x {b|c}"])
    def test_a_choice_inside_braces_that_are_none(self, source: str) -> None:
        outside = source.replace("{b|c}", "%")
        assert {_render(source, seed=str(seed)) for seed in range(30)} == {
            outside.replace("%", "b"),
            outside.replace("%", "c"),
        }

    def test_eight_deep(self) -> None:
        source = "a"
        for _ in range(8):
            source = f"{{{source} |{source[-1]}}}" if source == "a" else f"{{ {source}|z}}"
        assert _render(source).strip() in {"a", "z"}

    def test_nine_deep_is_refused_with_its_line(self) -> None:
        source = "first\n{ a|" * 9 + "}" * 9
        with pytest.raises(TemplateError, match="nested deeper than 8") as caught:
            compile_template(source)
        assert caught.value.line == 10

    @pytest.mark.parametrize("value", ["{a|b}", "{{ other }}", "{% for x in y %}", "}|{", "{# no #}"])
    def test_values_are_no_templates(self, value: str) -> None:
        assert _render("{x|x} {{ v }} {y {{ v }}|y {{ v }}}", v=value, other="!") == f"x {value} y {value}"

    def test_constants_are_no_spintax(self) -> None:
        assert _render("{{ '{a|b}' }}{{ v | default('{c|d}') }}") == "{a|b}{c|d}"


class TestLimits:
    def test_the_text_ends_at_65536_characters(self) -> None:
        assert _render("{{ v }}{{ v }}{{ v }}", v="x" * 40_000) == "x" * MAX_TEXT_LENGTH

    @pytest.mark.parametrize(
        "source",
        [
            "{ " * 2048,
            "}" * 4096,
            "{}" * 2048,
            "|" * 4096,
            "{a|" * 1365,
            "{|" * 7 + "|" * 4000 + "}" * 7,
            "{a|b}" * 800,
            "{{a}}" * 800,
            "{{ a" + "|upper" * 600 + " }}",
            "{{ a" + "|default('x')" * 300 + " }}",
            "{% " * 1000,
            "{{" * 2048,
            "{#" * 2048,
            "\n" * 4096,
        ],
    )
    def test_odd_templates_take_no_time(self, source: str) -> None:
        begun = time.process_time()
        with contextlib.suppress(TemplateError):
            compile_template(source).render({"a": "x" * 100}, "1")
        assert time.process_time() - begun < 1

    def test_many_large_values_take_no_time(self) -> None:
        begun = time.process_time()
        text = _render("{{ a | upper }}" * 270, a="x" * 1_000_000)
        assert text == "X" * MAX_TEXT_LENGTH
        assert time.process_time() - begun < 1


_pieces = st.sampled_from(
    ["{{ a }}", "{{ b | upper }}", "{{ a | default('z') }}", "{{ b | truncate(3) }}", "{", "}", "|", "x", "\n", "é"]
)


class TestAnyInput:
    @given(st.lists(_pieces, max_size=30).map("".join), st.dictionaries(st.sampled_from("abc"), st.text()), st.text())
    def test_what_compiles_renders(self, source: str, variables: dict[str, str], seed: str) -> None:
        try:
            template = compile_template(source)
        except TemplateError:
            return
        text = template.render(variables, seed)
        assert text == template.render(variables, seed)
        assert len(text) <= MAX_TEXT_LENGTH

    @given(st.text(alphabet="{}|%#'\"()[] .,-+*~:=_abn0123\\\nif", max_size=60))
    def test_noise_compiles_or_is_refused(self, source: str) -> None:
        with contextlib.suppress(TemplateError):
            compile_template(source).render({}, "")


class TestUnknownVariables:
    def test_are_placed(self) -> None:
        found = unknown_variables("Oi {{ nome }},\n{{ nome }} {{ cidade | upper }}{{ x }}", {"nome"})
        assert [str(problem) for problem in found] == [
            "Line 2, column 15: no contact has the variable cidade",
            "Line 2, column 35: no contact has the variable x",
        ]

    def test_known_ones_are_no_problem(self) -> None:
        assert list(unknown_variables("{{ nome }} {{ 'x' }} {a|b}", ["nome", "cidade"])) == []
