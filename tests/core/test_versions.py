"""Which ``If-Match`` allows a change of version 3."""

import pytest

from core.errors import PreconditionError
from core.versions import ensure_match


@pytest.mark.parametrize("header", [None, '"3"', '"2", "3"', '"2","3"', "*", ' "3" '])
def test_matches(header: str | None) -> None:
    ensure_match(header, 3)


@pytest.mark.parametrize("header", ["", '"2"', "3", 'W/"3"', '"33"', '"3', '"2", "4"', "x"])
def test_does_not_match(header: str) -> None:
    with pytest.raises(PreconditionError):
        ensure_match(header, 3)
