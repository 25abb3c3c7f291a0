"""SMTP keeps the contract of mail notifiers, and each of its checks notices the fault that it is for."""

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.plugin import places
from core.plugin.conformance.checking import Contract
from core.plugin.conformance.running import Verdict, checks_of, run_contract
from core.plugin.places import add_folder
from core.plugin.testing import MailNotifierContract
from plugins.smtp.conformance import SmtpContract

PLUGIN = Path(__file__).parents[3] / "plugins" / "smtp"


class TestSmtp(SmtpContract):
    pass


FAULTS = {
    "another_channel": (
        "notifier.py",
        'channel: Channel = "email"',
        'channel: Channel = "realtime"',
        {"name_and_channel"},
    ),
    "loses_the_text": (
        "message.py",
        'printable(notification.text), "plain"',
        'printable(""), "plain"',
        {"mail_is_taken"},
    ),
    "tells_nobody": (
        "notifier.py",
        "                await handing_over()\n",
        "                pass\n",
        {"handing_over_is_announced", "what_core_forbids_is_not_sent"},
    ),
    "tells_too_soon": (
        "notifier.py",
        "            await self._agree(client, recipient)\n            try:\n                await handing_over()\n",
        "            await handing_over()\n            try:\n                await self._agree(client, recipient)\n",
        {"handing_over_is_announced", "failures_before_the_mail_are_unavailable"},
    ),
    "tells_too_late": (
        "notifier.py",
        "                await handing_over()\n",
        (
            "                await self._hand_over(client, mail, recipient)\n                await handing_over()\n"
            "                return\n"
        ),
        {"handing_over_is_announced", "what_core_forbids_is_not_sent"},
    ),
    "forgets_the_key": (
        "message.py",
        'key.encode("utf-8", "replace")',
        "str(datetime.now(UTC)).encode()",
        {"key_becomes_the_message_id"},
    ),
    "gives_up_on_failures": (
        "connection.py",
        'return UnavailableError(f"{title} cannot be reached',
        'return MisconfiguredError(f"{title} cannot be reached',
        {"unreachable_is_unavailable", "failures_before_the_mail_are_unavailable"},
    ),
    "repeats_what_may_have_been_taken": (
        "notifier.py",
        'raise UncertainError(f"{title} gave no answer',
        'raise RefusedError(f"{title} gave no answer',
        {"lost_answer_is_uncertain"},
    ),
    "doubts_what_was_said": (
        "notifier.py",
        'raise explain(code, text, "content", title, recipient=recipient)',
        'raise UncertainError("no")',
        {"answers_to_the_mail_are_definite", "daily_limit_waits"},
    ),
    "tries_a_refused_person_again": (
        "answers.py",
        'return RefusedError(f"{host} does not take {what}',
        'return (UnavailableError if reply.step == "recipient" else RefusedError)(f"{host} does not take {what}',
        {"refused_recipient"},
    ),
    "blames_the_service_for_a_full_mailbox": (
        "answers.py",
        "of_recipient=of_recipient and",
        "of_recipient=False and",
        {"full_mailbox_is_one_persons_alone"},
    ),
    "tries_a_wrong_password_again": (
        "answers.py",
        'return MisconfiguredError(f"{host} {means}',
        'return UnavailableError(f"{host} {means}',
        {"wrong_credentials_are_misconfigured"},
    ),
    "goes_on_beyond_the_limit": (
        "answers.py",
        "        return LimitReachedError(",
        "        return UnavailableError(",
        {"daily_limit_waits"},
    ),
    "encrypts_where_it_is_offered": (
        "connection.py",
        "start_tls=starttls,",
        "start_tls=None if starttls else False,",
        {"nothing_is_sent_in_clear_text"},
    ),
    "believes_every_certificate": (
        "connection.py",
        "    context.minimum_version",
        ("    context.check_hostname = False\n    context.verify_mode = ssl.CERT_NONE\n    context.minimum_version"),
        {"certificates_are_verified"},
    ),
    "takes_names_as_they_are": ("message.py", "clean = one_line(name)", "clean = name", {"no_text_adds_a_header"}),
    "trusts_old_connections": (
        "connection.py",
        "        await client.rset(timeout=seconds)\n",
        "        pass\n",
        {"lost_connections_are_replaced"},
    ),
    "checks_nothing": (
        "notifier.py",
        "        account = self._account\n        # Not one",
        '        account = self._account\n        return "fine"\n        # Not one',
        {"check_fails_where_the_server_does"},
    ),
    "shows_its_password": (
        "notifier.py",
        "    async def check(self) -> str:",
        (
            "    def __repr__(self) -> str:\n        return self._account.password.reveal()\n\n"
            "    async def check(self) -> str:"
        ),
        {"secrets_are_not_shown"},
    ),
}
"""What is wrong: the module, a part of it, what stands there instead, and exactly the checks that notice it."""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Take back what a test made importable."""
    finders = [*sys.meta_path]
    yield
    for module in [name for name in sys.modules if name.startswith("plugins.broken")]:
        del sys.modules[module]
    sys.meta_path[:] = finders
    for finder in (places._as_plugin, places._as_package):
        finder.folders.clear()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_notifier_is_caught_by_exactly_its_checks(tmp_path: Path, name: str) -> None:
    module, before, after, checks = FAULTS[name]
    folder = tmp_path / "broken"
    shutil.copytree(PLUGIN, folder, ignore=shutil.ignore_patterns("simulator", "__pycache__"))
    for file in folder.glob("*.py"):
        text = file.read_text()
        if file.name == module:
            assert text.count(before) == 1
            text = text.replace(before, after)
        file.write_text(text.replace("plugins.smtp", "plugins.broken"))
    place = add_folder(folder)
    contract: type[Contract] = importlib.import_module(f"{place.package}.conformance").SmtpContract

    found = {row.name: row.why for row in run_contract(contract) if row.verdict is not Verdict.PASSED}

    assert set(found) == checks, found


def test_every_check_catches_a_fault() -> None:
    caught = {check for *_, checks in FAULTS.values() for check in checks}

    assert set(checks_of(MailNotifierContract)) == caught
