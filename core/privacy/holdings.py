"""Every table of the database: which of its rows are a user's, and what becomes of them in an export and an erasure.

A test holds this list against the catalog, so that no table can be forgotten.
"""

import msgspec

CAMPAIGNS = "SELECT id FROM campaigns WHERE user_id = $1"
CONTACTS = "SELECT id FROM contacts WHERE user_id = $1"
NUMBERS = "SELECT id FROM numbers WHERE user_id = $1"
OWN = "t.user_id = $1"


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one table that are a user's."""

    table: str
    own: str = OWN
    """Condition on the row ``t``; ``$1`` is the user."""
    exported: bool = True
    """Internal counters and copies are not: they tell nothing that the rest does not."""
    erased: bool = True
    """Deleted; what is not is made nameless by ``core.privacy.erasure``."""
    hidden: tuple[str, ...] = ()
    """Columns that are left out of exports beside those that are secret."""


HOLDINGS = (
    Holding(table="contact_sync_entries", own="t.job_id IN (SELECT id FROM jobs WHERE user_id = $1)", exported=False),
    Holding(table="bulk_selections", own="t.job_id IN (SELECT id FROM jobs WHERE user_id = $1)", exported=False),
    # Jobs go early: whatever is at work on the other rows ends with its next checkpoint.
    Holding(table="jobs", hidden=("params", "checkpoint", "holder", "lease_until")),
    Holding(table="webhook_events", own=f"t.number_id IN ({NUMBERS})", exported=False),
    Holding(
        table="webhooks_log",
        own=f"t.payload->>'number_id' IN (SELECT id::text FROM ({NUMBERS}) n) OR t.payload->>'user_id' = $1::text",
        exported=False,
    ),
    Holding(table="webhook_deliveries", hidden=("lease_until",)),
    Holding(table="webhook_endpoints"),
    Holding(table="lanes", exported=False),
    Holding(table="check_budgets", own=f"t.number_id IN ({NUMBERS})", exported=False),
    Holding(table="status_polls", own=f"t.number_id IN ({NUMBERS})", exported=False),
    Holding(table="event_cursors", own=f"t.number_id IN ({NUMBERS})", exported=False),
    Holding(table="alarms", own=f"t.subject_type = 'number' AND t.subject_id IN ({NUMBERS})", exported=False),
    Holding(table="number_identities", own=f"t.number_id IN ({NUMBERS})"),
    Holding(
        table="send_counters",
        own="(t.scope = 'plan' AND t.scope_id = $1)"
        f" OR (t.scope = 'number' AND t.scope_id IN ({NUMBERS}))"
        f" OR (t.scope = 'campaign' AND t.scope_id IN ({CAMPAIGNS}))"
        f" OR (t.scope = 'contact' AND t.scope_id IN ({CONTACTS}))",
        exported=False,
    ),
    Holding(
        table="message_attempts",
        own=f"t.recipient_id IN (SELECT id FROM message_by_contacts WHERE campaign_id IN ({CAMPAIGNS}))",
    ),
    Holding(table="message_by_contacts", own=f"t.campaign_id IN ({CAMPAIGNS})"),
    Holding(table="campaign_counters", own=f"t.campaign_id IN ({CAMPAIGNS})", exported=False),
    Holding(table="campaign_reports", own=f"t.campaign_id IN ({CAMPAIGNS})"),
    Holding(table="campaign_numbers", own=f"t.campaign_id IN ({CAMPAIGNS})"),
    Holding(table="messages", own=f"t.campaign_id IN ({CAMPAIGNS})", hidden=("media_path",)),
    Holding(table="campaigns"),
    Holding(table="public_by_contacts", own="t.public_id IN (SELECT id FROM publics WHERE user_id = $1)"),
    Holding(table="publics"),
    Holding(table="contact_addresses", own=f"t.contact_id IN ({CONTACTS})"),
    Holding(table="contact_activity", exported=False),
    Holding(table="contact_events"),
    Holding(table="contact_deletions"),
    Holding(table="conversations"),
    Holding(table="contact_variables"),
    Holding(table="block_contacts"),
    Holding(table="suppressions", exported=False),
    Holding(table="import_errors", own="t.import_id IN (SELECT id FROM imports WHERE user_id = $1)"),
    Holding(table="import_changes", own="t.import_id IN (SELECT id FROM imports WHERE user_id = $1)"),
    Holding(table="import_steps", own="t.import_id IN (SELECT id FROM imports WHERE user_id = $1)", exported=False),
    Holding(table="imports", hidden=("path",)),
    Holding(table="import_mappings", hidden=("headers",)),
    Holding(table="contacts"),
    Holding(table="labels"),
    Holding(table="media", hidden=("path",)),
    Holding(table="configurations"),
    Holding(table="idempotency_keys", exported=False),
    Holding(table="notification_deliveries", hidden=("holder",)),
    Holding(table="notifications"),
    Holding(
        table="replaced_tokens",
        own="t.session_id IN (SELECT id FROM user_sessions WHERE user_id = $1)",
        exported=False,
    ),
    Holding(table="user_sessions"),
    Holding(table="api_keys"),
    Holding(table="user_two_factors"),
    Holding(table="account_tokens", exported=False),
    Holding(table="logs", own="t.account_id = $1 AND t.action <> 'user.erased'"),
    Holding(table="data_exports", hidden=("path",)),
    Holding(table="numbers", erased=False),
    Holding(table="gateway_customers"),
    Holding(table="gateway_actions", exported=False, erased=False),
    Holding(table="payments", erased=False),
    Holding(table="subscriptions", erased=False),
    Holding(table="checkouts", erased=False, hidden=("idempotency_key",)),
    Holding(table="users", own="t.id = $1", erased=False),
)
"""In the order in which rows can be deleted: what points at others first."""

NOBODYS = {
    "migration": "Piccolo's own",
    "plans": "the platform's",
    "plan_prices": "the platform's",
    "gateway_plans": "the platform's",
    "gateway_webhooks": "the platform's",
    "gateway_fetches": "ids at the gateways, until they are fetched",
    "settings": "the platform's",
    "servers": "the platform's",
    "server_health": "the platform's",
    "server_breakers": "the platform's",
    "number_checks": "what services answered about numbers, for all tenants alike, for 30 days at most",
    "notifier_states": "how the platform's own mail and realtime services are",
    "sign_in_failures": "keyed hashes, for some days",
}
"""Tables without rows of a user, and whose they are."""
