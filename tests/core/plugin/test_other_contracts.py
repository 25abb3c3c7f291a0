"""The contracts of gateways and notifiers name what is broken in the plugins that `recado new-plugin` writes."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.plugin import places
from core.plugin.conformance.checking import Contract
from core.plugin.conformance.deliveries import DeliveryChecks
from core.plugin.conformance.running import Verdict, checks_of, run_contract
from core.plugin.places import add_folder
from core.plugin.testing import NotifierContract, PaymentGatewayContract
from core.scaffold import Kind, create_project

GATEWAY = {
    "wrong_currencies": ('currencies=("BRL", "USD")', 'currencies=("reais",)', {"capabilities_are_well_formed"}),
    "refuses_what_it_promises": (
        '        body: dict[str, object] = {"amount": str(price.amount), "currency": price.currency}\n',
        '        raise RefusedError("no refunds")\n        body: dict[str, object] = {}\n',
        {
            "capabilities_are_kept",
            "idempotency_keys_are_handed_on",
            "no_answer_is_retryable",
            "unreachable_is_retryable",
            "wrong_credentials_are_a_configuration",
        },
    ),
    "does_what_it_does_not_promise": ("portal=True", "portal=False", {"capabilities_are_kept"}),
    "no_id_of_the_checkout": ("gateway_id=step.id", 'gateway_id=""', {"start_gives_a_step"}),
    "another_key_each_time": (
        '"Idempotency-Key": key}',
        '"Idempotency-Key": str(id(path))}',
        {"idempotency_keys_are_handed_on"},
    ),
    "no_answer_for_a_refusal": (
        "except (UnavailableError, UncertainError) as error:\n            raise RetryableError",
        "except (UnavailableError, UncertainError) as error:\n            raise DeclinedError",
        {"no_answer_is_retryable", "unreachable_is_retryable"},
    ),
    "credentials_for_a_failure": (
        "raise ConfigurationError(str(error), http_status",
        "raise RetryableError(str(error), http_status",
        {"wrong_credentials_are_a_configuration"},
    ),
    "declined_for_a_failure": ("raise DeclinedError(", "raise RetryableError(", {"declined"}),
    "payments_without_ids": ("transaction_id=payment.id", 'transaction_id=""', {"fetch_gives_the_subscription"}),
    "failure_for_unknown": (
        "            return None\n        return _snap",
        "            pass\n        return _snap",
        {"unknown_subscription_is_none"},
    ),
    "unknown_for_nonsense": (
        "        return _snapshot(self._read(response, Subscription))\n",
        (
            "        try:\n            return _snapshot(self._read(response, Subscription))\n"
            "        except RetryableError:\n            return None\n"
        ),
        {"failed_fetch_is_an_error"},
    ),
    "knows_the_secret_of_its_settings_alone": (
        "(*secrets, self._webhook_secret)",
        "(self._webhook_secret,)",
        {"kept_secrets_count_too"},
    ),
    "shows_its_key": (
        "raise RetryableError(str(error), http_status=error.http_status) from None\n        if",
        'raise RetryableError(f"{error} {self._headers()}", http_status=error.http_status) from None\n        if',
        {"secrets_are_not_shown"},
    ),
}
"""What is wrong: a part of gateway.py, what stands there instead, and exactly the checks that notice it."""

NOTIFIER = {
    "no_such_channel": ('channel: Channel = "email"', 'channel: Channel = "pigeon"', {"name_and_channel"}),
    "loses_the_text": ('"text": notification.text', '"text": ""', {"notification_is_taken"}),
    "tells_nobody": ("        await handing_over()\n", "", {"handing_over_is_announced"}),
    "forgets_the_key": ('"Idempotency-Key": notification.key', '"Idempotency-Key": "one"', {"key_is_handed_on"}),
    "sends_twice": (
        "        try:\n            await self._client.call(request, doing",
        (
            '        try:\n            await self._client.call(request, doing="", accept=range(1000))\n'
            "            await self._client.call(request, doing"
        ),
        {"notification_is_taken", "failures_are_unavailable"},
    ),
    "uncertain": (
        "raise UnavailableError(str(error), http",
        "raise UncertainError(str(error), http",
        {"failures_are_unavailable"},
    ),
    "unreachable_for_a_refusal": (
        "        except UncertainError as error:",
        (
            "        except UnavailableError as error:\n            raise RefusedError(str(error)) from None\n"
            "        except UncertainError as error:"
        ),
        {"unreachable_is_unavailable", "failures_are_unavailable"},
    ),
    "refusal_for_a_failure": (
        "        except UncertainError as error:",
        (
            "        except RefusedError as error:\n            raise UnavailableError(str(error)) from None\n"
            "        except UncertainError as error:"
        ),
        {"refused"},
    ),
    "credentials_for_a_failure": (
        "        except UncertainError as error:",
        (
            "        except MisconfiguredError as error:\n            raise UnavailableError(str(error)) from None\n"
            "        except UncertainError as error:"
        ),
        {"wrong_credentials_are_misconfigured"},
    ),
    "checks_nothing": (
        '        doing = "asking for the account"\n',
        '        return "fine"\n        doing = "asking for the account"\n',
        {"check_fails_where_the_service_does"},
    ),
    "shows_its_token": (
        "    async def check(self) -> str:",
        "    def __repr__(self) -> str:\n        return self._token.reveal()\n\n    async def check(self) -> str:",
        {"secrets_are_not_shown"},
    ),
}
"""The same of notifier.py."""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Take back what a test made importable."""
    finders = [*sys.meta_path]
    yield
    for module in [name for name in sys.modules if name.startswith(("plugins.broken", "broken"))]:
        del sys.modules[module]
    sys.meta_path[:] = finders
    for finder in (places._as_plugin, places._as_package):
        finder.folders.clear()


def failed(folder: Path, kind: Kind, change: tuple[str, str] = ("", "")) -> dict[str, str]:
    """Write a plugin with a part of it replaced, and return the checks that fail."""
    create_project("broken", folder, kind)
    file = folder / "broken" / ("gateway.py" if kind is Kind.PAYMENT else "notifier.py")
    text = file.read_text()
    assert change[0] in text
    # Whatever a change raises.
    names = "from core.plugin import MisconfiguredError, RefusedError, UncertainError, UnavailableError\n"
    file.write_text(text.replace("import msgspec\n", f"import msgspec\n{names}", 1).replace(*change))
    place = add_folder(folder / "broken")
    contract: type[Contract] = importlib.import_module(f"{place.package}.conformance").BrokenContract
    return {row.name: row.why for row in run_contract(contract) if row.verdict is not Verdict.PASSED}


@pytest.mark.parametrize("kind", [Kind.PAYMENT, Kind.NOTIFIER])
def test_what_new_plugin_writes_proves_everything(tmp_path: Path, kind: Kind) -> None:
    assert failed(tmp_path, kind) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", GATEWAY)
def test_a_broken_gateway_is_caught_by_exactly_its_checks(tmp_path: Path, name: str) -> None:
    before, after, checks = GATEWAY[name]

    found = failed(tmp_path, Kind.PAYMENT, (before, after))

    assert set(found) == checks, found


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTIFIER)
def test_a_broken_notifier_is_caught_by_exactly_its_checks(tmp_path: Path, name: str) -> None:
    before, after, checks = NOTIFIER[name]

    found = failed(tmp_path, Kind.NOTIFIER, (before, after))

    assert set(found) == checks, found


def test_every_check_catches_a_fault() -> None:
    caught = {check for *_, checks in (*GATEWAY.values(), *NOTIFIER.values()) for check in checks}
    # Those of deliveries are proved by the faults of messaging providers.
    own = {name for name in checks_of(PaymentGatewayContract) if f"test_{name}" not in vars(DeliveryChecks)}

    assert (own | set(checks_of(NotifierContract))) - caught == set()
