"""An example of every kind's detail, for ``recado email preview`` and for tests."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from core.events import catalogue
from core.notifications.kinds import ResetLink

NAME = "Ana"
"""Whom the examples are written to."""
_SOON = datetime(2027, 3, 10, 15, 30, tzinfo=UTC)
_LINK = "https://recado.example.com/{page}#token=0000-example-0000"
_SPRING = {"campaign_id": 7, "name": "Spring offers"}
_SALES = {"number_id": 3, "name": "Sales", "number": "5511987654321"}
_PAID = {"payment_id": 21, "plan_id": 2, "gateway": "stripe", "amount": "149.90", "currency": "BRL"}

EXAMPLES: Mapping[str, msgspec.Struct] = {
    "campaign_started": catalogue.CampaignStarted(campaign_id=7, name="Spring offers"),
    "campaign_waiting": catalogue.CampaignWaiting(campaign_id=7, name="Spring offers"),
    "campaign_paused": catalogue.CampaignPaused(campaign_id=7, name="Spring offers", reason="database_restored"),
    "campaign_completed": msgspec.convert(
        {
            **_SPRING,
            "reason": "completed_with_unknown",
            "total": 1250,
            "sent": 1231,
            "delivered": 1190,
            "read": 804,
            "failed": 14,
            "skipped": 3,
            "unknown": 2,
        },
        catalogue.CampaignCompleted,
    ),
    "campaign_needs_attention": catalogue.CampaignNeedsAttention(campaign_id=7, name="Spring offers", unknown=2),
    "number_connected": msgspec.convert(_SALES, catalogue.NumberConnected),
    "number_disconnected": msgspec.convert(
        {**_SALES, "connection": "sign_in", "reason": ""}, catalogue.NumberDisconnected
    ),
    "number_restricted": msgspec.convert({**_SALES, "restricted_until": _SOON}, catalogue.NumberRestricted),
    "import_finished": catalogue.ImportFinished(
        import_id=5,
        name="customers.xlsx",
        status="done",
        rows_total=10_000,
        rows_created=9_120,
        rows_updated=800,
        rows_skipped=55,
        rows_failed=25,
    ),
    "payment_succeeded": msgspec.convert(
        {**_PAID, "receipt_url": "https://pay.example.com/receipts/21"}, catalogue.PaymentSucceeded
    ),
    "payment_failed": msgspec.convert(
        {
            **_PAID,
            "attempt": 1,
            "failure_code": "insufficient_funds",
            "failure": "insufficient_funds",
            "next_attempt_at": _SOON,
            "action_url": "https://pay.example.com/invoices/21",
        },
        catalogue.PaymentFailed,
    ),
    "payment_refunded": msgspec.convert({**_PAID, "refunded_amount": "49.90"}, catalogue.PaymentRefunded),
    "plan_changed": catalogue.PlanChanged(plan_before=1, plan_after=2, reason="subscription_changed"),
    "access_ends": catalogue.AccessEnds(plan_id=2, access_until=_SOON, reason="canceled"),
    "trial_ends": catalogue.TrialEnds(plan_id=2, access_until=_SOON, amount="149.90", currency="BRL"),
    "new_device": catalogue.NewDevice(address="203.0.113.7", user_agent="Firefox 140 on Linux"),
    "password_changed": catalogue.PasswordChanged(),
    "webhook_disabled": catalogue.WebhookDisabled(
        endpoint_id=4, url="https://shop.example.com/hooks/recado", reason="failing"
    ),
    "alarm_raised": catalogue.AlarmRaised(
        alarm_id=9,
        kind="server_down",
        subject_type="server",
        subject_id=1,
        text="The server main does not answer (timeout): see whether it runs and can be reached from here.",
    ),
    "password_reset": ResetLink(link=_LINK.format(page="reset-password")),
    "confirm_email": ResetLink(link=_LINK.format(page="confirm-email")),
}
