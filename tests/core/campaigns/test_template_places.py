import jinja2
import pytest

from core.campaigns.template_places import column_of

ENVIRONMENT = jinja2.Environment(autoescape=True)


@pytest.mark.parametrize(
    ("source", "line", "word", "column"),
    [
        ("{{ a }} {{ b }}", 1, "b", 12),
        ("a {{ a }}", 1, "a", 6),
        ("x\n\ny {{ b }}", 3, "b", 6),
        ("{{ a\n| upper }}", 2, "upper", 3),
        ("text alone", 1, "", 1),
        ("{{ a }} {{ b", 1, "", 9),
        ("{{ a }} {{ b", 1, "b", 12),
        ("{{ a }}", 1, "missing", 1),
        ("{{ a }}\nplain", 2, "", 1),
    ],
)
def test_column(source: str, line: int, word: str, column: int) -> None:
    assert column_of(ENVIRONMENT, source, line, word) == column
