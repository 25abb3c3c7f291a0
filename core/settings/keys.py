"""The platform's settings that an administrator may change, each with its type, default and meaning."""

from typing import Annotated, Any

import msgspec

Days = Annotated[int, msgspec.Meta(ge=0, le=36_500)]
# $ alone would also match before a line break at the end.
_END = r"$(?!\n)"
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*" + _END
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=r"^(?=.*\S)" + _ONE_LINE[1:])]
Line = Annotated[str, msgspec.Meta(max_length=240, pattern=_ONE_LINE)]
Color = Annotated[str, msgspec.Meta(pattern=r"^#[0-9a-fA-F]{6}" + _END)]
Url = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https?://[^\s\x00-\x1f]+)?" + _END)]
SafeUrl = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https://[^\s\x00-\x1f]+)?" + _END)]
Address = Annotated[str, msgspec.Meta(max_length=254, pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?" + _END)]


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting."""

    key: str
    type: Any
    default: Any
    description: str
    secret: bool = False
    """It is encrypted at rest and shown as ``***``."""


SETTINGS: tuple[Setting, ...] = (
    Setting(
        key="default_plan_id",
        type=Annotated[int, msgspec.Meta(ge=1)] | None,
        default=None,
        description="The plan of new users; absent, the cheapest.",
    ),
    Setting(
        key="webhooks.log_genuine",
        type=bool,
        default=False,
        description="Whether genuine deliveries of messaging servers are kept in the webhooks log, too.",
    ),
    Setting(
        key="watch.disk_free_percent",
        type=Annotated[int, msgspec.Meta(ge=0, le=90)],
        default=5,
        description="Below how many per cent of free space on the disk of paths.data administrators are told; below"
        " 1 GiB they always are.",
    ),
    Setting(
        key="retention.logs_days",
        type=Days,
        default=365,
        description="Days that the audit log is kept. 0: for ever.",
    ),
    Setting(
        key="retention.webhooks_log_days",
        type=Days,
        default=30,
        description="Days that the webhooks log is kept. 0: for ever.",
    ),
    Setting(
        key="retention.webhook_events_days",
        type=Days,
        default=2,
        description="Days that applied webhook events are kept, so that a late repetition is recognised; 2 at least."
        " 0: for ever.",
    ),
    Setting(
        key="retention.webhook_deliveries_days",
        type=Days,
        default=7,
        description="Days that deliveries to tenants' webhook endpoints are kept, for their log and to be sent again;"
        " 2 at least. 0: for ever.",
    ),
    Setting(
        key="retention.recipients_days",
        type=Days,
        default=0,
        description="Days that a campaign's recipients are kept after its end; its report stays. 0: for ever.",
    ),
    Setting(
        key="retention.jobs_days",
        type=Days,
        default=90,
        description="Days that jobs which are over are kept. 0: for ever.",
    ),
    Setting(
        key="retention.alarms_days",
        type=Days,
        default=90,
        description="Days that alarms which are over are kept. 0: for ever.",
    ),
    Setting(
        key="retention.notifications_days",
        type=Days,
        default=30,
        description="Days that notifications of which nothing is left to tell are kept. 0: for ever.",
    ),
    Setting(
        key="payments.grace_days",
        type=Annotated[int, msgspec.Meta(ge=0, le=90)],
        default=7,
        description="Days that access goes on after the paid time while the gateway tries to collect a renewal.",
    ),
    Setting(
        key="payments.refund_ends_access",
        type=bool,
        default=True,
        description="Whether paying the present period's payment back whole ends the access it paid for.",
    ),
    Setting(
        key="payments.dispute_ends_access",
        type=bool,
        default=True,
        description="Whether access ends while the payer's bank wants the present period's payment back.",
    ),
    Setting(
        key="payments.return_url",
        type=Url,
        default="",
        description="Page of your own to which payers come back; `checkout` and `outcome` (`paid` or `left`) are added"
        " to its query. Empty: a page of the platform.",
    ),
    Setting(
        key="brand.name", type=Name, default="Recado", description="What e-mails and two-factor apps call the platform."
    ),
    Setting(
        key="brand.color",
        type=Color,
        default="#0b7a75",
        description="Colour of the stripe and the button in e-mails: #, and six hexadecimal digits.",
    ),
    Setting(
        key="brand.logo_url",
        type=SafeUrl,
        default="",
        description="Address of a logo for e-mails, beginning with https://. Empty: the name is written.",
    ),
    Setting(
        key="brand.url",
        type=Url,
        default="",
        description="Page to which e-mails lead, such as a frontend of your own. Empty: the platform's address.",
    ),
    Setting(
        key="brand.address",
        type=Line,
        default="",
        description="Who sends the e-mails, and their postal address, in one line at the foot of each.",
    ),
    Setting(key="support.email", type=Address, default="", description="Where users are told to write for help."),
)
BY_KEY = {setting.key: setting for setting in SETTINGS}
