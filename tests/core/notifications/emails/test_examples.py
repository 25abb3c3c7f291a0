from core.notifications.emails.examples import EXAMPLES
from core.notifications.kinds import KINDS


def test_every_kind_has_an_example_of_its_shape() -> None:
    assert {name: type(detail) for name, detail in EXAMPLES.items()} == {
        name: kind.detail for name, kind in KINDS.items()
    }
