"""Run contracts without pytest, and tell what came of each check."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from unittest import SkipTest

import msgspec

from core.plugin.conformance.checking import Contract
from core.plugin.conformance.mail import MailNotifierContract
from core.plugin.conformance.messaging import MessagingProviderContract
from core.plugin.conformance.notifications import NotifierContract
from core.plugin.conformance.payments import PaymentGatewayContract
from core.plugin.loader import find_plugin_class
from core.plugin.places import Place

_PREFIX = "test_"
_HOOKS: Mapping[str, tuple[type[Contract], ...]] = {
    "register_messaging_providers": (MessagingProviderContract,),
    "register_payment_gateways": (PaymentGatewayContract,),
    # After what they speak: HTTP or SMTP.
    "register_notifiers": (NotifierContract, MailNotifierContract),
}


class Verdict(StrEnum):
    """What came of a check, as the table says it."""

    PASSED = "passed"
    FAILED = "FAILED"
    NOT_APPLICABLE = "not applicable"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one contract class."""

    name: str
    proves: str
    verdict: Verdict
    why: str = ""
    """Why it failed or does not apply."""


def checks_of(contract: type[Contract]) -> dict[str, Callable[[Contract], object]]:
    """Return the checks of a contract by name, as the contract has them: a plugin's class cannot replace one."""
    found: dict[str, Callable[[Contract], object]] = {}
    for kind in contract.__mro__:
        if kind.__module__.startswith(__package__):
            for name, check in vars(kind).items():
                if name.startswith(_PREFIX):
                    found.setdefault(name.removeprefix(_PREFIX), check)
    return found


def run_contract(contract: type[Contract]) -> Iterator[Row]:
    """Run each check on an instance of its own."""
    for name, check in checks_of(contract).items():
        proves = (inspect.getdoc(check) or "").partition("\n")[0]
        verdict, why = _result(check, contract())
        yield Row(name=name, proves=proves, verdict=verdict, why=why)


def run_plugin(place: Place, contracts: Iterable[type[Contract]]) -> Iterator[Row]:
    """Check what the platform loads, and that each kind of provider has its contract."""
    plugin_class, _, problems = find_plugin_class(place.name)
    yield Row(
        name="plugin_class",
        proves="The class that the platform loads fits this plugin API.",
        verdict=Verdict.FAILED if problems else Verdict.PASSED,
        why="; ".join(str(problem) for problem in problems),
    )
    kinds = tuple(contracts)
    missing = [
        f"{hook} is implemented and nothing derives from {' or '.join(one.__name__ for one in fitting)}"
        for hook, fitting in _HOOKS.items()
        if hasattr(plugin_class, hook) and not any(issubclass(kind, fitting) for kind in kinds)
    ]
    yield Row(
        name="every_kind_has_a_contract",
        proves="Each kind of provider that the plugin registers is examined.",
        verdict=Verdict.FAILED if missing else Verdict.PASSED,
        why="; ".join(missing),
    )


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lay the rows out, a line each and another below it that says why."""
    laid = [*rows]
    name_width = max(len(row.name) for row in laid)
    verdict_width = max(len(verdict) for verdict in Verdict)
    for row in laid:
        yield f"{row.name:<{name_width}}  {row.verdict:<{verdict_width}}  {row.proves}"
        if row.why:
            yield f"{'':<{name_width + verdict_width + 2}}  {' '.join(row.why.split())}"


def _result(check: Callable[[Contract], object], instance: Contract) -> tuple[Verdict, str]:
    try:
        check(instance)
    except SkipTest as reason:
        return Verdict.NOT_APPLICABLE, str(reason)
    except AssertionError as failure:
        return Verdict.FAILED, str(failure)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its failure
        return Verdict.FAILED, f"raises {type(error).__name__}: {error}"
    return Verdict.PASSED, ""
