"""What ``recado conformance`` examines: the notifier, on mail servers that do what real ones do."""

from core.plugin import Secret
from core.plugin.testing import MailNotifierContract, MailPlace, NotifierSubject
from plugins.smtp.connection import Account
from plugins.smtp.message import Author
from plugins.smtp.notifier import SmtpNotifier


class SmtpContract(MailNotifierContract):
    """SMTP keeps the contract of every notifier that sends mails."""

    def subject(self, place: MailPlace) -> NotifierSubject:
        """Make a notifier that waits a second."""
        account = Account(
            host=place.host,
            port=place.port,
            username=place.username,
            password=Secret(place.password),
            ca_file=place.ca_file,
            timeout_seconds=1.0,
            final_seconds=1.0,
        )
        author = Author(address="messages@example.com", name="Recado")
        return NotifierSubject(SmtpNotifier(account, author), "ana@example.com", (place.password,))
