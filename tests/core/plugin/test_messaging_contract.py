"""The contract passes for a provider that keeps it, and names exactly what another one breaks."""

import msgspec
import pytest

from core.plugin import Capabilities
from core.plugin.conformance.running import Verdict, checks_of, run_contract
from core.plugin.testing import Subject
from tests.core.plugin.broken.catching import CAUGHT_BY
from tests.core.plugin.broken.good import GoodContract, GoodProvider
from tests.core.plugin.broken.reporters import BelievesDeliveriesWithoutAProof
from tests.core.plugin.broken.senders import RepeatsAFailedPost


class TestGoodProvider(GoodContract):
    pass


class Polled(GoodContract):
    """A service that is asked for its events."""

    event = unknown_event = b""

    def subject(self, url: str) -> Subject:
        found = super().subject(url)
        polled = msgspec.structs.replace(found.sender, capabilities=Capabilities(inbound="poll"))
        return msgspec.structs.replace(found, sender=polled)


class PolledAndBelieving(Polled):
    provider = BelievesDeliveriesWithoutAProof


class Impatient(GoodContract):
    provider = RepeatsAFailedPost


class Nameless(GoodProvider):
    name = ""


class Cheating(GoodContract):
    provider = Nameless

    def test_states_its_times(self) -> None:
        pass


def rows(contract: type[GoodContract], verdict: Verdict) -> dict[str, str]:
    """Run the contract; return the checks with this verdict, and why."""
    return {row.name: row.why for row in run_contract(contract) if row.verdict is verdict}


def test_a_good_provider_proves_all_but_polling() -> None:
    assert rows(GoodContract, Verdict.FAILED) == {}
    assert rows(GoodContract, Verdict.NOT_APPLICABLE) == {
        "polled_provider_believes_no_delivery": "the service delivers its events"
    }


def test_a_polled_provider_needs_no_webhooks() -> None:
    assert rows(Polled, Verdict.FAILED) == {}


def test_a_polled_provider_that_believes_deliveries_is_caught() -> None:
    assert rows(PolledAndBelieving, Verdict.FAILED) == {
        "polled_provider_believes_no_delivery": "a delivery was believed"
    }


def test_a_provider_that_posts_twice_is_told_so() -> None:
    assert rows(Impatient, Verdict.FAILED) == {
        "one_send_is_one_request": "one send made 2 requests to a server that does the answer 503"
        ' b\'{"statusCode":503,"m\''
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", CAUGHT_BY, ids=lambda kind: kind.__name__)
def test_each_fault_is_caught_by_exactly_its_checks(kind: type[GoodProvider]) -> None:
    class Broken(GoodContract):
        provider = kind

    failed = rows(Broken, Verdict.FAILED)

    assert set(failed) == CAUGHT_BY[kind], failed


def test_every_check_catches_a_fault() -> None:
    caught = {name for names in CAUGHT_BY.values() for name in names}

    assert set(checks_of(GoodContract)) - caught == {"polled_provider_believes_no_delivery"}


def test_a_check_cannot_be_replaced() -> None:
    assert rows(Cheating, Verdict.FAILED) == {"states_its_times": "name is no name of a plugin"}
