// Made from the OpenAPI document by `make docs`: changes are lost.

export interface AccessRead {
  plan_id: number | null;
  access_until: string | null;
  has_access: boolean;
  over: Array<Overage>;
  subscription: SubscriptionRead | null;
}

export interface AccessReadResource {
  data: AccessRead;
}

export interface ActAs {
  reason: string;
}

/** What is asked of a gateway for a subscription that exists. */
export type ActionKind = "cancel" | "resume" | "change_plan" | "refund" | "expire_checkout";

export interface Affected {
  affected: number;
}

export interface AffectedResource {
  data: Affected;
}

export interface AlarmRead {
  id: number;
  kind: string;
  text: string;
  subject_type: string;
  subject_id: number;
  noticed: number;
  raised_at: string;
  noticed_at: string;
  cleared_at: string | null;
}

export interface AlarmReadPage {
  data: Array<AlarmRead>;
  links: Links;
  meta: Meta;
}

export interface AlarmReadResource {
  data: AlarmRead;
}

export interface ApiKeyCreate {
  name: string;
  scopes: Array<"read" | "send" | "manage">;
  expires_at?: string | null;
}

export interface ApiKeyCreated {
  id: number;
  name: string;
  prefix: string;
  scopes: Array<"read" | "send" | "manage">;
  last_used_at: string | null;
  expires_at: string | null;
  created_at: string;
  key: string;
}

export interface ApiKeyCreatedResource {
  data: ApiKeyCreated;
}

export interface ApiKeyRead {
  id: number;
  name: string;
  prefix: string;
  scopes: Array<"read" | "send" | "manage">;
  last_used_at: string | null;
  expires_at: string | null;
  created_at: string;
}

export interface ApiKeyReadPage {
  data: Array<ApiKeyRead>;
  links: Links;
  meta: Meta;
}

export interface AudienceCount {
  contacts_count: number;
  count_is_exact: boolean;
}

export interface AudienceCountCreate {
  filters: ContactFilter;
}

export interface AudienceCountResource {
  data: AudienceCount;
}

export interface AudienceFilter {
  any?: Array<number>;
  all?: Array<number>;
  none?: Array<number>;
}

export interface AwaitingConfirmation {
  email: string;
  confirmation?: "mailed";
}

export interface BlockCreate {
  number?: string | null;
  /** Instead of a number. */
  address?: string | null;
  /** ISO 3166 code. */
  country?: string | null;
  reason?: string;
}

export interface BlockRead {
  id: number;
  created_at: string;
  updated_at: string;
  number: string | null;
  address: string | null;
  reason: string;
}

export interface BlockReadPage {
  data: Array<BlockRead>;
  links: Links;
  meta: Meta;
}

export interface BlockReadResource {
  data: BlockRead;
}

export interface BlockRemove {
  number?: string | null;
  /** Instead of a number. */
  address?: string | null;
  /** ISO 3166 code. */
  country?: string | null;
}

export interface BlockSelection {
  ids?: Array<number> | null;
  filter?: ContactFilter | null;
  /** With `filter`: only contacts of this audience. */
  public_id?: number | null;
  reason?: string;
}

export interface Blocker {
  code: string;
  text: string;
  number_id?: number | null;
  until?: string | null;
}

export interface CampaignCounts {
  running: number;
  paused: number;
}

export interface CampaignCreate {
  name: string;
  type?: CampaignType;
  number_ids?: Array<number>;
  public_id?: number | null;
  /** With its offset, or a local time of settings.schedule.timezone. */
  schedule_date?: string | null;
  settings?: CampaignSettings;
  messages?: Array<MessageCreate>;
}

export interface CampaignListed {
  id: number;
  name: string;
  type: CampaignType;
  status: CampaignStatus;
  status_reason: string;
  schedule_date: string | null;
  progress: number;
  started_at: string | null;
  completed_at: string | null;
  created_at: string;
  totals: Totals;
}

export interface CampaignListedPage {
  data: Array<CampaignListed>;
  links: Links;
  meta: Meta;
}

export interface CampaignRead {
  id: number;
  name: string;
  type: CampaignType;
  status: CampaignStatus;
  status_reason: string;
  number_id: number | null;
  number_ids: Array<number>;
  public_id: number | null;
  schedule_date: string | null;
  progress: number;
  settings: CampaignSettings;
  version: number;
  started_at: string | null;
  frozen_at: string | null;
  completed_at: string | null;
  created_at: string;
  updated_at: string;
  totals: Totals;
  messages: Array<MessageRead>;
}

export interface CampaignReadResource {
  data: CampaignRead;
}

export interface CampaignSettings {
  pacing?: Pacing | null;
  stop_on_reply?: boolean;
  check_numbers?: boolean;
  link_preview?: boolean;
  sticky?: boolean;
  failover_minutes?: number | null;
  schedule?: Schedule;
  labels?: CampaignsLabelFilter | null;
  audiences?: AudienceFilter | null;
  entropy?: EntropyLimit | null;
}

/** Where a campaign stands; ``campaigns.status_reason`` says why. */
export type CampaignStatus = 1 | 2 | 3 | 4 | 5 | 6;

/** How a campaign is put together. */
export type CampaignType = 1 | 2 | 3 | 4;

export interface CampaignUpdate {
  name?: string;
  number_ids?: Array<number>;
  public_id?: number | null;
  /** With its offset, or a local time of settings.schedule.timezone. */
  schedule_date?: string | null;
  settings?: CampaignSettings;
  messages?: Array<MessageCreate>;
}

export interface CampaignsLabelFilter {
  any?: Array<number>;
  all?: Array<number>;
  none?: Array<number>;
}

export interface CancelWanted {
  at_period_end?: boolean;
}

export interface Capabilities {
  version?: string;
  engine?: string;
  client_message_id?: boolean;
  lookup_by_id?: boolean;
  receipts?: "none" | "sent" | "delivered" | "read";
  media?: Array<MessageKind>;
  number_check?: "none" | "single" | "bulk";
  sign_in?: Array<"qr" | "pairing_code" | "passkey" | "token">;
  typing?: boolean;
  seen?: boolean;
  link_preview?: boolean;
  contacts?: boolean;
  groups?: boolean;
  screenshots?: boolean;
  inbound?: "webhook" | "poll";
  multi_session?: boolean;
  warnings?: Array<string>;
}

export interface ChallengeRead {
  kind: "qr" | "pairing_code";
  value: string;
}

export interface ChallengeReadResource {
  data: ChallengeRead;
}

export interface ChangePreviewRead {
  plan_id: number;
  at_once: boolean;
  applies_at: string | null;
  /** Charged at once, as a decimal string. */
  due_now: string;
  /** A decimal string. */
  next_charge: string;
  currency: string;
  as_of: string;
  over: Array<Overage>;
}

export interface ChangePreviewReadResource {
  data: ChangePreviewRead;
}

export interface ChangeWanted {
  plan_id: number;
  as_of?: string | null;
}

export interface ChannelRequest {
  socket_id: string;
  channel_name: string;
}

export interface Channels {
  email?: boolean | null;
  realtime?: boolean | null;
}

export interface CheckCreate {
  phone: string;
}

export interface CheckRead {
  phone: string;
  exists: boolean;
  address: string;
}

export interface CheckReadResource {
  data: CheckRead;
}

export interface CheckoutCreate {
  plan_id: number;
  gateway?: string | null;
  currency?: string | null;
  interval?: "month" | "year";
  coupon?: string;
}

export interface CheckoutRead {
  id: number;
  plan_id: number;
  gateway: string;
  /** A decimal string. */
  amount: string;
  currency: string;
  interval: "month" | "year";
  coupon: string;
  trial_days: number;
  status: CheckoutStatus;
  step: NextStep | null;
  error: string;
  retry_of: number | null;
  expires_at: string | null;
  created_at: string;
}

export interface CheckoutReadResource {
  data: CheckoutRead;
}

/** How far an intent to subscribe has come. */
export type CheckoutStatus = "created" | "open" | "completed" | "expired" | "failed";

export interface ColumnRead {
  header: string;
  field: string;
}

export interface ConfigurationsRead {
  pacing: Pacing;
  entropy: EntropyLimit;
  opt_out: OptOut;
  timezone: string;
  locale: "en" | "es" | "pt-BR";
  country: string;
  notifications: NotificationChoices;
}

export interface ConfigurationsReadResource {
  data: ConfigurationsRead;
}

export interface ConfigurationsUpdate {
  pacing?: Pacing | null;
  entropy?: EntropyLimit | null;
  opt_out?: OptOut | null;
  timezone?: string;
  locale?: "en" | "es" | "pt-BR";
  country?: string | null;
  notifications?: NotificationChoices | null;
}

export interface ContactBlock {
  reason?: string;
}

export interface ContactCreate {
  number?: string | null;
  name?: string;
  variables?: Record<string, string>;
  labels?: Array<number>;
  type?: 1 | 2;
  status?: 1 | 2;
  /** Provider to address: of a group, or of a person whom the service does not know by a number. */
  addresses?: Record<string, string>;
  /** Whose number it is, when it has no country code; absent, as the account says. */
  country?: string | null;
}

export interface ContactFilter {
  /** Part of the number or the name, accents do not matter. */
  search?: string | null;
  labels?: ContactsFiltersLabelFilter;
  audiences?: AudienceFilter;
  variables?: Array<VariableCondition>;
  status?: 1 | 2 | null;
  type?: 1 | 2 | null;
  blocked?: boolean | null;
  /** Where the contact came from. */
  source?: "manual" | "api" | "import" | "sync" | null;
  created_from?: string | null;
  /** Created before this moment. */
  created_to?: string | null;
  /** Ever wrote to one of the numbers, or never. */
  replied?: boolean | null;
  /** Last wrote then or later. */
  replied_from?: string | null;
  /** Last wrote before, or never. */
  replied_to?: string | null;
  /** Ever got a message, or never. */
  contacted?: boolean | null;
  /** Last got a message then or later. */
  contacted_from?: string | null;
  /** Last got a message before, or never. */
  contacted_to?: string | null;
}

export interface ContactMerge {
  others: Array<number>;
  /** Whose name, variables and addresses stay where both have some. */
  prefer?: "contact" | "others";
}

export interface ContactRead {
  id: number;
  created_at: string;
  updated_at: string;
  number: string | null;
  name: string;
  variables: Record<string, string>;
  labels: Array<number>;
  type: number;
  status: number;
  addresses: Record<string, string>;
  blocked: boolean;
  source: string;
  last_inbound_at: string | null;
  version: string;
}

export interface ContactReadPage {
  data: Array<ContactRead>;
  links: Links;
  meta: Meta;
}

export interface ContactReadResource {
  data: ContactRead;
}

export interface ContactReadScroll {
  data: Array<ContactRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface ContactUpdate {
  number?: string;
  name?: string;
  variables?: Record<string, string>;
  labels?: Array<number>;
  status?: 1 | 2;
  /** Provider to address: of a group, or of a person whom the service does not know by a number. */
  addresses?: Record<string, string>;
  /** ISO 3166 code. */
  country?: string | null;
}

export interface ContactsFiltersLabelFilter {
  any?: Array<number>;
  all?: Array<number>;
  none?: Array<number>;
}

export interface Credentials {
  email: string;
  password: string;
  cookie?: boolean;
}

export interface Curve {
  interval: "hour" | "day";
  timezone: string;
  points: Array<CurvePoint>;
}

export interface CurvePoint {
  at: string;
  sent?: number;
  delivered?: number;
  readed?: number;
  replied?: number;
  failed?: number;
}

export interface DeadLetter {
  id: string;
  queue: string;
  actor: string;
  args: Array<unknown>;
  sent_at: number;
  failed_at: number;
  failure: string;
}

export interface DeadLetterPage {
  data: Array<DeadLetter>;
  links: Links;
  meta: Meta;
}

export interface Deleted {
  affected: number;
  deletion_id: number;
}

export interface DeletedResource {
  data: Deleted;
}

export interface DeletionRead {
  id: number;
  job_id: number | null;
  contacts: number;
  restored: number;
  undo_until: string;
  created_at: string;
  updated_at: string;
}

export interface DeletionReadPage {
  data: Array<DeletionRead>;
  links: Links;
  meta: Meta;
}

export interface DeliveryReadPage {
  data: Array<WebhooksOutgoingDeliveryRead>;
  links: Links;
  meta: Meta;
}

export interface DeliveryReadResource {
  data: WebhooksOutgoingDeliveryRead;
}

export interface DeliveryReadScroll {
  data: Array<WebhooksOutgoingDeliveryRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface Device {
  id: number;
  kind: SessionKind;
  user_agent: string;
  address: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string;
  current: boolean;
  by_administrator: boolean;
}

export interface DeviceListResource {
  data: Array<Device>;
}

export interface Duplicate {
  name?: string | null;
}

export interface DuplicateRead {
  address: string;
  contacts: Array<ContactRead>;
}

export interface DuplicateReadPage {
  data: Array<DuplicateRead>;
  links: Links;
  meta: Meta;
}

export interface Durations {
  median: number;
  p90: number;
}

export interface EmailConfirmation {
  token: string;
}

export interface EndpointCreate {
  url: string;
  events: Array<"access.ends" | "campaign.completed" | "campaign.needs_attention" | "campaign.paused" | "campaign.started" | "campaign.waiting" | "contact.opted_out" | "import.finished" | "message.received" | "message.updated" | "number.connected" | "number.disconnected" | "number.restricted" | "payment.failed" | "payment.refunded" | "payment.succeeded" | "plan.changed" | "trial.ends">;
  name?: string;
}

export interface EndpointRead {
  id: number;
  name: string;
  url: string;
  events: Array<string>;
  number_id: number | null;
  status: EndpointStatus;
  failing_since: string | null;
  disabled_at: string | null;
  disabled_reason: "" | "failing" | "gone" | "by_hand";
  previous_secret_until: string | null;
  created_at: string;
  updated_at: string;
}

export interface EndpointReadPage {
  data: Array<EndpointRead>;
  links: Links;
  meta: Meta;
}

export interface EndpointReadResource {
  data: EndpointRead;
}

export interface EndpointSecret {
  id: number;
  name: string;
  url: string;
  events: Array<string>;
  number_id: number | null;
  status: EndpointStatus;
  failing_since: string | null;
  disabled_at: string | null;
  disabled_reason: "" | "failing" | "gone" | "by_hand";
  previous_secret_until: string | null;
  created_at: string;
  updated_at: string;
  secret: string;
}

export interface EndpointSecretResource {
  data: EndpointSecret;
}

/** Whether an endpoint is delivered to. */
export type EndpointStatus = "active" | "disabled";

export interface EndpointUpdate {
  url?: string;
  events?: Array<"access.ends" | "campaign.completed" | "campaign.needs_attention" | "campaign.paused" | "campaign.started" | "campaign.waiting" | "contact.opted_out" | "import.finished" | "message.received" | "message.updated" | "number.connected" | "number.disconnected" | "number.restricted" | "payment.failed" | "payment.refunded" | "payment.succeeded" | "plan.changed" | "trial.ends">;
  name?: string;
}

export interface Entropy {
  campaign_id: number;
  version: number;
  contacts: number;
  sampled: number;
  max_share: number | null;
  too_uniform: boolean;
  messages: Array<MessageEntropy>;
  computed_at: string;
}

export interface EntropyLimit {
  max_share?: number | null;
}

export interface EntropyRead {
  campaign_id: number;
  status: "none" | "running" | "done" | "outdated" | "failed";
  version: number;
  max_share: number | null;
  job_id: number | null;
  error: string;
  result: Entropy | null;
}

export interface EntropyReadResource {
  data: EntropyRead;
}

export interface Erasure {
  password: string;
}

export interface ErrorReport {
  class: "refused" | "gave_up" | "network" | "unknown";
  reason: string;
  messages: number;
}

export interface EventRead {
  id: string;
  type: string;
  created_at: string;
  data: Record<string, unknown>;
}

export interface Explanation {
  sending: boolean;
  reasons: Array<Blocker>;
  next_due_at: string | null;
}

export interface ExplanationResource {
  data: Explanation;
}

export interface ExportRead {
  id: number;
  status: ExportStatus;
  size: number;
  created_at: string;
  ready_at: string | null;
  expires_at: string | null;
}

export interface ExportReadResource {
  data: ExportRead;
}

/** Where an export stands. */
export type ExportStatus = "waiting" | "running" | "ready" | "failed" | "expired";

export interface FileFacts {
  kind: "csv" | "xlsx";
  encoding: "utf-8" | "utf-16le" | "utf-16be" | "windows-1252" | "macintosh" | "ibm850" | null;
  delimiter: string | null;
  sheet: string | null;
  sheets: Array<string>;
  header: boolean;
  header_line: number | null;
}

export interface FirstAdministrator {
  token: string;
  email: string;
  name: string;
  password: string;
}

export interface FlightPlan {
  campaign_id: number;
  contacts: number;
  included: number;
  excluded: Record<string, number>;
  messages: number;
  unplanned: number;
  begins_at: string | null;
  ends_at: string | null;
  numbers: Array<PlannedNumber>;
}

export interface FlightPlanResource {
  data: FlightPlan;
}

export interface ForgottenPassword {
  email: string;
}

export interface GatewayFetchRead {
  id: number;
  gateway: string;
  subject: string;
  attempts: number;
  due_at: string;
  error: string;
  failed_at: string | null;
  created_at: string;
}

export interface GatewayFetchReadPage {
  data: Array<GatewayFetchRead>;
  links: Links;
  meta: Meta;
}

export interface GatewayRead {
  name: string;
  currencies: Array<string>;
  intervals: Array<"month" | "year">;
  plan_change: boolean;
  proration: boolean;
  portal: boolean;
  refund: boolean;
  trials: boolean;
  resume: boolean;
  coupons: boolean;
}

export interface GatewayReadListResource {
  data: Array<GatewayRead>;
}

export interface Health {
  status: "ok";
}

export interface Holidays {
  country?: string | null;
  subdivision?: string | null;
  dates?: Array<string>;
}

export interface HourCount {
  hour: string;
  messages: number;
}

export interface ImportRead {
  id: number;
  filename: string;
  status: string;
  job_id: number | null;
  public_id: number | null;
  public_name: string | null;
  default_country: string;
  duplicates: string;
  policies: Record<string, string>;
  labels: Array<number>;
  label_name: string | null;
  file: FileFacts;
  columns: Array<ColumnRead>;
  mapping_source: "chosen" | "saved" | "recognized" | "guessed";
  rows_total: number;
  rows_created: number;
  rows_updated: number;
  rows_skipped: number;
  rows_failed: number;
  progress: number;
  rows_per_second: number | null;
  seconds_left: number | null;
  error: string;
  undo_until: string | null;
  undo: UndoRead | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface ImportReadPage {
  data: Array<ImportRead>;
  links: Links;
  meta: Meta;
}

export interface ImportReadResource {
  data: ImportRead;
}

export interface ImportUpdate {
  public_id?: number | null;
  public_name?: string | null;
  labels?: Array<number>;
  label_name?: string | null;
  /** ISO 3166 code. */
  default_country?: string;
  /** Header, or `column_3`, to `number`, `name`, `labels`, `ignore` or `variables.<name>`. */
  mapping?: Record<string, string>;
  /** `null` finds it out. */
  header?: boolean | null;
  encoding?: "utf-8" | "utf-16le" | "utf-16be" | "windows-1252" | "macintosh" | "ibm850" | null;
  delimiter?: ";" | "," | "\t" | "|" | null;
  duplicates?: "fill" | "skip" | "overwrite";
  /** `name`, `variables` or `variables.<name>` to `keep`, `fill` or `overwrite`; `labels` to `keep`, `add` or `replace`. */
  policies?: Record<string, string>;
}

export interface JobAdministrationRead {
  user_id: number | null;
  job: JobRead;
}

export interface JobAdministrationReadPage {
  data: Array<JobAdministrationRead>;
  links: Links;
  meta: Meta;
}

export interface JobAdministrationReadResource {
  data: JobAdministrationRead;
}

export interface JobRead {
  id: number;
  kind: string;
  status: string;
  subject_id: number | null;
  done: number;
  total: number | null;
  progress: number;
  rate: number | null;
  seconds_left: number | null;
  result: Record<string, unknown>;
  error: string;
  attempts: number;
  cancelable: boolean;
  cancel_requested_at: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface JobReadPage {
  data: Array<JobRead>;
  links: Links;
  meta: Meta;
}

export interface JobReadResource {
  data: JobRead;
}

/** Where a job stands. */
export type JobStatus = "waiting" | "running" | "done" | "failed" | "canceled";

export interface LabelCreate {
  name: string;
  color?: string;
}

export interface LabelRead {
  id: number;
  created_at: string;
  updated_at: string;
  name: string;
  color: string;
}

export interface LabelReadPage {
  data: Array<LabelRead>;
  links: Links;
  meta: Meta;
}

export interface LabelReadResource {
  data: LabelRead;
}

export interface LabelSelection {
  ids?: Array<number> | null;
  filter?: ContactFilter | null;
  /** With `filter`: only contacts of this audience. */
  public_id?: number | null;
  add?: Array<number>;
  remove?: Array<number>;
}

export interface LabelUpdate {
  name?: string;
  color?: string;
}

export interface Links {
  first: string;
  last: string;
  prev: string | null;
  next: string | null;
}

export interface LogRead {
  id: number;
  created_at: string;
  action: string;
  entity: string;
  entity_id: number | null;
  description: string;
  data: Record<string, unknown>;
  changes: Record<string, Array<unknown>>;
  api_key_id: number | null;
  by_administrator: boolean;
  address: string;
  request_id: string;
  user_id: number | null;
  user_email: string | null;
  account_id: number | null;
  actor_id: number | null;
  actor_email: string | null;
}

export interface LogReadPage {
  data: Array<LogRead>;
  links: Links;
  meta: Meta;
}

export interface LogReadScroll {
  data: Array<LogRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface MediaFetch {
  url: string;
  filename?: string;
}

/** What a file is, in the numbers of ``messages.type_message``. */
export type MediaKind = 2 | 3 | 4 | 5;

export interface MediaRead {
  id: number;
  kind: MediaKind | null;
  filename: string;
  content_type: string;
  size: number;
  sha256: string;
  source_url: string | null;
  state: MediaState;
  reason: string;
  created_at: string;
  updated_at: string;
}

export interface MediaReadPage {
  data: Array<MediaRead>;
  links: Links;
  meta: Meta;
}

export interface MediaReadResource {
  data: MediaRead;
}

/** Whether a file is there. */
export type MediaState = "fetching" | "ready" | "failed";

export interface MessageCreate {
  content?: string;
  /** Seconds after the message before. */
  delay?: number;
  type_message?: MessageType;
  media_id?: number | null;
  media_url?: string | null;
}

export interface MessageEntropy {
  message_id: number;
  position: number;
  texts: number;
  distinct: number;
  most_frequent_count: number;
  most_frequent_share: number;
  most_frequent_text: string;
  uniform: boolean;
}

/** What a message carries. */
export type MessageKind = "text" | "image" | "audio" | "document" | "video";

export interface MessageRead {
  id: number;
  position: number;
  delay: number;
  content: string;
  type_message: MessageType;
  media_id: number | null;
  media: MediaRead | null;
}

export interface MessageReport {
  message_id: number;
  position: number;
  totals: Totals;
}

/** What a message carries, in the seed's numbers. */
export type MessageType = 1 | 2 | 3 | 4 | 5;

export interface Meta {
  current_page: number;
  per_page: number;
  last_page: number;
  total: number;
}

export interface MonthRevenue {
  month: string;
  currency: string;
  /** A decimal string. */
  amount: string;
  payments: number;
}

export interface NextStep {
  kind: "redirect" | "client_secret" | "pix_qr";
  url?: string;
  client_secret?: string;
  publishable_key?: string;
  pix_code?: string;
}

export interface NotificationChoices {
  email?: boolean;
  realtime?: boolean;
  muted?: Array<"campaign_started" | "campaign_waiting" | "campaign_paused" | "campaign_completed" | "campaign_needs_attention" | "number_connected" | "number_disconnected" | "number_restricted" | "import_finished" | "payment_succeeded" | "payment_failed" | "payment_refunded" | "plan_changed" | "access_ends" | "trial_ends" | "new_device" | "webhook_disabled">;
  kinds?: Record<string, Channels>;
}

export interface NotificationDetail {
  id: number;
  kind: string;
  title: string;
  text: string;
  count: number;
  created_at: string;
  read_at: string | null;
  detail: unknown;
  folded: Array<NotificationRead>;
  deliveries: Array<NotificationsDeliveryRead>;
}

export interface NotificationDetailResource {
  data: NotificationDetail;
}

export interface NotificationRead {
  id: number;
  kind: string;
  title: string;
  text: string;
  count: number;
  created_at: string;
  read_at: string | null;
}

export interface NotificationReadPage {
  data: Array<NotificationRead>;
  links: Links;
  meta: Meta;
}

export interface NotificationsDeliveryRead {
  channel: "email" | "realtime";
  notifier: string;
  status: NotificationsTablesDeliveryStatus;
  attempts: number;
  due_at: string;
  sent_at: string | null;
}

/** What became of a notification in one channel. */
export type NotificationsTablesDeliveryStatus = "pending" | "claimed" | "sending" | "sent" | "folded" | "refused" | "failed" | "unknown";

export interface NumberAdministrationRead {
  id: number;
  server_id: number;
  provider: string;
  instance: string;
  name: string;
  number: string;
  status: boolean;
  status_connection: boolean;
  connection: string;
  connection_reason: string;
  connection_at: string | null;
  restricted_until: string | null;
  first_connected_at: string | null;
  silent_until: string | null;
  last_event_at: string | null;
  recent_sends: number;
  recent_acknowledged: number;
  webhook_url: string | null;
  settings: NumberLimits;
  sign_in: Array<string>;
  extra: boolean;
  created_at: string;
  updated_at: string;
  user_id: number;
  user_email: string;
  server_name: string;
}

export interface NumberAdministrationReadPage {
  data: Array<NumberAdministrationRead>;
  links: Links;
  meta: Meta;
}

export interface NumberAdministrationReadScroll {
  data: Array<NumberAdministrationRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface NumberCounts {
  total: number;
  online: number;
  restricted: number;
}

export interface NumberCreate {
  server_id?: number | null;
  provider?: string | null;
  name?: string;
}

export interface NumberGrant {
  server_id?: number | null;
  provider?: string | null;
  name?: string;
  user_id: number;
}

export interface NumberLimits {
  per_hour?: number | null;
  per_day?: number | null;
  checks_per_minute?: number | null;
  checks_per_day?: number | null;
}

export interface NumberMove {
  server_id?: number | null;
}

export interface NumberRead {
  id: number;
  server_id: number;
  provider: string;
  instance: string;
  name: string;
  number: string;
  status: boolean;
  status_connection: boolean;
  connection: string;
  connection_reason: string;
  connection_at: string | null;
  restricted_until: string | null;
  first_connected_at: string | null;
  silent_until: string | null;
  last_event_at: string | null;
  recent_sends: number;
  recent_acknowledged: number;
  webhook_url: string | null;
  settings: NumberLimits;
  sign_in: Array<string>;
  extra: boolean;
  created_at: string;
  updated_at: string;
}

export interface NumberReadPage {
  data: Array<NumberRead>;
  links: Links;
  meta: Meta;
}

export interface NumberReadResource {
  data: NumberRead;
}

export interface NumberReport {
  number_id: number;
  name: string;
  number: string;
  totals: Totals;
}

export interface NumberUpdate {
  name?: string;
  status?: boolean;
  settings?: NumberLimits;
  webhook_url?: string | null;
}

export interface NumberUpdated {
  id: number;
  server_id: number;
  provider: string;
  instance: string;
  name: string;
  number: string;
  status: boolean;
  status_connection: boolean;
  connection: string;
  connection_reason: string;
  connection_at: string | null;
  restricted_until: string | null;
  first_connected_at: string | null;
  silent_until: string | null;
  last_event_at: string | null;
  recent_sends: number;
  recent_acknowledged: number;
  webhook_url: string | null;
  settings: NumberLimits;
  sign_in: Array<string>;
  extra: boolean;
  created_at: string;
  updated_at: string;
  webhook_secret: string | null;
}

export interface NumberUpdatedResource {
  data: NumberUpdated;
}

export interface OptOut {
  words?: Array<string>;
  confirmation?: string;
}

export interface Overage {
  limit: "numbers" | "contacts" | "campaigns";
  present: number;
  allowed: number;
}

export interface OwnLogRead {
  id: number;
  created_at: string;
  action: string;
  entity: string;
  entity_id: number | null;
  description: string;
  data: Record<string, unknown>;
  changes: Record<string, Array<unknown>>;
  api_key_id: number | null;
  by_administrator: boolean;
  address: string;
  request_id: string;
}

export interface OwnLogReadPage {
  data: Array<OwnLogRead>;
  links: Links;
  meta: Meta;
}

export interface OwnLogReadScroll {
  data: Array<OwnLogRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface Pacing {
  delay_min?: number;
  delay_max?: number;
  typing?: boolean;
  rest_after?: number;
  rest_seconds?: number;
  per_hour?: number | null;
  per_day?: number | null;
  campaign_per_hour?: number | null;
  campaign_per_day?: number | null;
  windows?: Array<Window>;
  window_zone?: "tenant" | "recipient";
  holidays?: Holidays | null;
  warm_up?: boolean;
  warm_up_ramp?: Array<RampStep>;
  warm_up_days?: number;
  contact_gap_hours?: number | null;
  contact_per_day?: number | null;
  unanswered_max?: number | null;
  contact_wait_hours?: number;
}

export interface PasswordChange {
  current_password: string;
  password: string;
}

export interface PasswordProof {
  password: string;
}

export interface PasswordReset {
  token: string;
  password: string;
}

export interface PaymentAdministrationRead {
  id: number;
  gateway: string;
  transaction_id: string;
  /** A decimal string. */
  amount: string;
  currency: string;
  status: PaymentStatus;
  subscription_id: number | null;
  plan_id: number | null;
  /** A decimal string. */
  refunded_amount: string;
  disputed: boolean;
  failure_code: string;
  attempt: number;
  next_attempt_at: string | null;
  action_url: string;
  receipt_url: string;
  paid_at: string | null;
  created_at: string;
  updated_at: string;
  user_id: number;
  user_email: string;
  gateway_response: unknown;
}

export interface PaymentAdministrationReadPage {
  data: Array<PaymentAdministrationRead>;
  links: Links;
  meta: Meta;
}

export interface PaymentAdministrationReadResource {
  data: PaymentAdministrationRead;
}

export interface PaymentAdministrationReadScroll {
  data: Array<PaymentAdministrationRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface PaymentRead {
  id: number;
  gateway: string;
  transaction_id: string;
  /** A decimal string. */
  amount: string;
  currency: string;
  status: PaymentStatus;
  subscription_id: number | null;
  plan_id: number | null;
  /** A decimal string. */
  refunded_amount: string;
  disputed: boolean;
  failure_code: string;
  attempt: number;
  next_attempt_at: string | null;
  action_url: string;
  receipt_url: string;
  paid_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface PaymentReadPage {
  data: Array<PaymentRead>;
  links: Links;
  meta: Meta;
}

export interface PaymentReadResource {
  data: PaymentRead;
}

export interface PaymentReadScroll {
  data: Array<PaymentRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

/** What became of a payment. */
export type PaymentStatus = "pending" | "completed" | "failed";

export interface PlanCreate {
  name: string;
  /** Price of a month, as a decimal string. */
  value?: string;
  /** ISO 4217. */
  currency?: string;
  unlimited?: boolean;
  medias?: boolean;
  reports?: boolean;
  schedule?: boolean;
  numbers_limit?: number;
  contacts_limit?: number;
  campaigns_limit?: number;
  /** Absent for any number. */
  monthly_messages?: number | null;
  /** Days free of charge, once for each user. */
  trial_days?: number;
  /** Besides `value` a month in `currency`; each currency and interval once. */
  prices?: Array<PlanPrice>;
}

export interface PlanOffer {
  id: number;
  name: string;
}

export interface PlanPrice {
  /** ISO 4217. */
  currency: string;
  interval?: "month" | "year";
  /** A price, as a decimal string. */
  amount: string;
}

export interface PlanRead {
  id: number;
  name: string;
  /** A decimal string. */
  value: string;
  /** ISO 4217. */
  currency: string;
  unlimited: boolean;
  medias: boolean;
  reports: boolean;
  schedule: boolean;
  numbers_limit: number;
  contacts_limit: number;
  campaigns_limit: number;
  /** Absent for any number. */
  monthly_messages: number | null;
  /** Days free of charge, once for each user. */
  trial_days: number;
  /** Besides `value` a month in `currency`; each currency and interval once. */
  prices: Array<PlanPrice>;
  created_at: string;
  updated_at: string;
}

export interface PlanReadPage {
  data: Array<PlanRead>;
  links: Links;
  meta: Meta;
}

export interface PlanReadResource {
  data: PlanRead;
}

export interface PlanReason {
  code: string;
  text: string;
  seconds: number;
}

export interface PlanUpdate {
  name?: string;
  /** Price of a month, as a decimal string. */
  value?: string;
  /** ISO 4217. */
  currency?: string;
  unlimited?: boolean;
  medias?: boolean;
  reports?: boolean;
  schedule?: boolean;
  numbers_limit?: number;
  contacts_limit?: number;
  campaigns_limit?: number;
  /** Absent for any number. */
  monthly_messages?: number | null;
  /** Days free of charge, once for each user. */
  trial_days?: number;
  /** Besides `value` a month in `currency`; each currency and interval once. */
  prices?: Array<PlanPrice>;
}

export interface PlannedDay {
  date: string;
  messages: number;
  begins_at: string;
  ends_at: string;
}

export interface PlannedNumber {
  number_id: number;
  messages: number;
  ends_at: string | null;
  days: Array<PlannedDay>;
  reasons: Array<PlanReason>;
}

export interface PluginInfo {
  name: string;
  version: string;
  source: string;
  enabled: boolean;
  messaging?: Array<string>;
  payments?: Array<string>;
  notifiers?: Array<string>;
}

export interface PluginInfoListResource {
  data: Array<PluginInfo>;
}

export interface PortalRead {
  url: string;
}

export interface PortalReadResource {
  data: PortalRead;
}

export interface Preview {
  contact_id: number;
  contact_name: string;
  number: string;
  messages: Array<PreviewedMessage>;
}

export interface PreviewListResource {
  data: Array<Preview>;
}

export interface PreviewRead {
  file: FileFacts;
  columns: Array<ColumnRead>;
  mapping_source: "chosen" | "saved" | "recognized" | "guessed";
  default_country: string;
  rows_total: number;
  rows: Array<PreviewRow>;
  problems: number;
}

export interface PreviewReadResource {
  data: PreviewRead;
}

export interface PreviewRow {
  line: number;
  outcome: "created" | "updated" | "skipped" | "failed";
  contact_id: number | null;
  number: string;
  number_formatted: string;
  name: string;
  variables: Record<string, string>;
  labels: Array<string>;
  problem: RowProblem | null;
}

export interface PreviewedMessage {
  message_id: number;
  position: number;
  type_message: MessageType;
  text: string;
}

export interface ProblemDetails {
  type: string;
  title: string;
  status: number;
  detail: string;
  message: string;
  errors: Record<string, Array<string>>;
  code: string;
  limit?: string;
  allowed?: number;
  plans?: Array<PlanOffer>;
}

/** What an account may do. */
export type Profile = "user" | "administrator";

export interface ProfileUpdate {
  name?: string;
  locale?: "en" | "es" | "pt-BR";
  timezone?: string;
}

export interface PublicCreate {
  name: string;
  description?: string;
  type?: 1 | 2 | 3;
  filters?: ContactFilter | null;
}

export interface PublicRead {
  id: number;
  created_at: string;
  updated_at: string;
  name: string;
  description: string;
  type: number;
  filters: ContactFilter | null;
  contacts_count: number;
  count_is_exact: boolean;
  counted_at: string | null;
}

export interface PublicReadPage {
  data: Array<PublicRead>;
  links: Links;
  meta: Meta;
}

export interface PublicReadResource {
  data: PublicRead;
}

export interface PublicUpdate {
  name?: string;
  description?: string;
  filters?: ContactFilter;
}

export interface QueueRead {
  name: string;
  waiting: number;
  delayed: number;
  failed: number;
}

export interface QueueReadListResource {
  data: Array<QueueRead>;
}

export interface RampStep {
  from_day: number;
  per_day: number;
}

export interface Rates {
  delivered: number | null;
  readed: number | null;
  replied: number | null;
  failed: number | null;
}

export interface ReadMark {
  read: boolean;
}

export interface ReadUpTo {
  up_to?: number | null;
}

export interface Readiness {
  status: "ready";
  database: "ok";
  redis: "ok";
}

export interface RealtimeRead {
  services: Record<string, Record<string, string>>;
}

export interface RealtimeReadResource {
  data: RealtimeRead;
}

export interface RecipientRead {
  id: number;
  message_id: number;
  contact_id: number;
  contact_name: string;
  number: string;
  position: number;
  number_id: number | null;
  state: RecipientState;
  reason: string;
  attempt: number;
  delivered: boolean;
  readed: boolean;
  error: boolean;
  needs_attention: boolean;
  due_at: string | null;
  accepted_at: string | null;
  sent_at: string | null;
  delivered_at: string | null;
  read_at: string | null;
  replied_at: string | null;
}

export interface RecipientReadPage {
  data: Array<RecipientRead>;
  links: Links;
  meta: Meta;
}

export interface RecipientReadResource {
  data: RecipientRead;
}

export interface RecipientReadScroll {
  data: Array<RecipientRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

/** Where one message to one contact stands. */
export type RecipientState = "pending" | "leased" | "accepted" | "sent" | "failed" | "unknown" | "skipped";

export interface RecoveryCodes {
  recovery_codes: Array<string>;
}

export interface RecoveryCodesResource {
  data: RecoveryCodes;
}

export interface RefundWanted {
  amount?: string | null;
}

export interface Registration {
  email: string;
  name: string;
  password: string;
  locale?: "en" | "es" | "pt-BR";
  timezone?: string;
  cookie?: boolean;
}

export interface Report {
  campaign_id: number;
  name: string;
  status: CampaignStatus;
  status_reason: string;
  started_at: string | null;
  completed_at: string | null;
  seconds: number | null;
  totals: Totals;
  reasons: Record<string, Record<string, number>>;
  rates: Rates;
  messages: Array<MessageReport>;
  numbers: Array<NumberReport>;
  errors: Array<ErrorReport>;
  curve: Curve;
  time_to_delivered: Durations | null;
  time_to_readed: Durations | null;
}

export interface ReportResource {
  data: Report;
}

export interface Resolve {
  action: "retry" | "assume_sent";
}

export interface ResolveMany {
  action: "retry" | "assume_sent";
  reasons?: Array<string>;
}

export interface Retry {
  reasons?: Array<string>;
  classes?: Array<"refused" | "gave_up" | "network">;
}

export interface RetryRead {
  step: NextStep | null;
  checkout: CheckoutRead | null;
}

export interface RetryReadResource {
  data: RetryRead;
}

export interface RevenueRow {
  month: string;
  gateway: string;
  currency: string;
  payments: number;
  amount: string;
  refunded: string;
  net: string;
  failed: number;
  disputed: number;
}

export interface RevenueRowListResource {
  data: Array<RevenueRow>;
}

export interface RowProblem {
  column: string;
  value: string;
  reason: string;
}

export interface Schedule {
  timezone?: string | null;
  missed?: "send" | "skip" | "ask";
  max_lateness_minutes?: number;
}

export interface ScrollLinks {
  first: string;
  next: string | null;
}

export interface ScrollMeta {
  per_page: number;
  next_cursor: string | null;
}

export interface Selection {
  ids?: Array<number> | null;
  filter?: ContactFilter | null;
  /** With `filter`: only contacts of this audience. */
  public_id?: number | null;
}

/** Whether a number can send. */
export type SenderState = "stopped" | "starting" | "sign_in" | "connected" | "needs_person" | "failed";

export interface ServerCreate {
  name: string;
  provider: string;
  url: string;
  credentials?: Record<string, unknown>;
  /** How many numbers the server may hold. */
  capacity?: number | null;
}

export interface ServerHealthRead {
  checked_at: string;
  status: boolean;
  reason: string;
  version: string;
  engine: string;
  memory_bytes: number | null;
  sessions: number | null;
  connected: number | null;
  numbers: number;
  numbers_connected: number;
  sends: number;
  acknowledged: number;
  last_event_at: string | null;
}

export interface ServerHealthReadPage {
  data: Array<ServerHealthRead>;
  links: Links;
  meta: Meta;
}

export interface ServerRead {
  id: number;
  name: string;
  provider: string;
  url: string;
  credentials: Record<string, unknown>;
  status: boolean;
  status_reason: string;
  capacity: number | null;
  capabilities: Capabilities | null;
  numbers: number;
  numbers_connected: number;
  started_at: string | null;
  memory_bytes: number | null;
  sessions: number | null;
  sessions_connected: number | null;
  sends: number;
  acknowledged: number;
  last_event_at: string | null;
  checked_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface ServerReadPage {
  data: Array<ServerRead>;
  links: Links;
  meta: Meta;
}

export interface ServerReadResource {
  data: ServerRead;
}

export interface ServerSummary {
  id: number;
  name: string;
  provider: string;
  status: boolean;
}

export interface ServerSummaryPage {
  data: Array<ServerSummary>;
  links: Links;
  meta: Meta;
}

export interface ServerUpdate {
  name?: string;
  url?: string;
  credentials?: Record<string, unknown>;
  /** How many numbers the server may hold. */
  capacity?: number | null;
}

/** How a session's token travels. */
export type SessionKind = "bearer" | "cookie";

export interface SettingRead {
  key: string;
  value: unknown;
  default: unknown;
  description: string;
  changed: boolean;
}

export interface SettingReadListResource {
  data: Array<SettingRead>;
}

export interface SettingsUpdate {
  values: Record<string, unknown>;
}

export interface SignedIn {
  token: string;
  user: UserRead;
  csrf_token?: string;
  /** Seconds without use after which the token ends. */
  expiresIn: number;
}

export interface Statistics {
  users: UserCounts;
  numbers: NumberCounts;
  campaigns: CampaignCounts;
  messages: Array<HourCount>;
  revenue: Array<MonthRevenue>;
}

export interface StatisticsResource {
  data: Statistics;
}

export interface StepRead {
  subscription: SubscriptionRead;
  step: NextStep | null;
}

export interface StepReadResource {
  data: StepRead;
}

export interface SubscriptionAdministrationRead {
  id: number;
  gateway: string;
  plan_id: number;
  next_plan_id: number | null;
  next_plan_at: string | null;
  status: SubscriptionStatus;
  auto_renew: boolean;
  access_until: string | null;
  grace_until: string | null;
  /** A decimal string. */
  refunded_amount: string;
  /** What the next period costs, as a decimal string. */
  amount: string;
  currency: string;
  interval: "month" | "year";
  action_url: string;
  ended_at: string | null;
  ended_reason: "" | "canceled" | "refunded" | "disputed";
  duplicate: boolean;
  pending: Array<ActionKind>;
  created_at: string;
  updated_at: string;
  user_id: number;
  user_email: string;
  gateway_id: string;
  raw_status: string;
  fetched_at: string;
}

export interface SubscriptionAdministrationReadPage {
  data: Array<SubscriptionAdministrationRead>;
  links: Links;
  meta: Meta;
}

export interface SubscriptionAdministrationReadResource {
  data: SubscriptionAdministrationRead;
}

export interface SubscriptionAdministrationReadScroll {
  data: Array<SubscriptionAdministrationRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface SubscriptionRead {
  id: number;
  gateway: string;
  plan_id: number;
  next_plan_id: number | null;
  next_plan_at: string | null;
  status: SubscriptionStatus;
  auto_renew: boolean;
  access_until: string | null;
  grace_until: string | null;
  /** A decimal string. */
  refunded_amount: string;
  /** What the next period costs, as a decimal string. */
  amount: string;
  currency: string;
  interval: "month" | "year";
  action_url: string;
  ended_at: string | null;
  ended_reason: "" | "canceled" | "refunded" | "disputed";
  duplicate: boolean;
  pending: Array<ActionKind>;
  created_at: string;
  updated_at: string;
}

export interface SubscriptionReadResource {
  data: SubscriptionRead;
}

/** A subscription's state, the same words for every gateway. */
export type SubscriptionStatus = "pending" | "trial" | "active" | "past_due" | "suspended" | "paused" | "canceled" | "unknown";

export interface SubscriptionsRow {
  month: string;
  gateway: string;
  new: number;
  lost: number;
  active: number;
}

export interface SubscriptionsRowListResource {
  data: Array<SubscriptionsRow>;
}

export interface SyncCreate {
  people?: boolean;
  groups?: boolean;
  /** A label for every contact that is listed. */
  label_id?: number | null;
  /** Instead: its name; made where it is missing. */
  label_name?: string | null;
}

export interface TicketRead {
  ticket: string;
  expires_in: number;
}

export interface TicketReadResource {
  data: TicketRead;
}

export interface TimelineEntry {
  at: string;
  kind: "created" | "imported" | "blocked" | "unblocked" | "opted_out" | "merged" | "wrote" | "sent" | "delivered" | "readed" | "replied" | "failed" | "skipped" | "unknown";
  reason: string;
  source: "" | "manual" | "api" | "import" | "sync" | "hand" | "word";
  number_id: number | null;
  campaign_id: number | null;
  campaign_name: string | null;
  message_id: number | null;
  position: number | null;
  recipient_id: number | null;
}

export interface TimelineEntryScroll {
  data: Array<TimelineEntry>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface Totals {
  total: number;
  pending: number;
  accepted: number;
  sent: number;
  delivered: number;
  readed: number;
  replied: number;
  failed: number;
  unknown: number;
  skipped: number;
}

export interface TrialMessageCreate {
  phone?: string | null;
  /** Instead of a phone: where the service reaches somebody it knows by no number. */
  address?: string | null;
  text: string;
}

export interface TrialMessageRead {
  outcome: "accepted" | "retryable" | "unknown" | "rejected" | "sender_stopped";
  code: string;
  ids: Array<string>;
  address: string;
}

export interface TrialMessageReadResource {
  data: TrialMessageRead;
}

export interface TwoFactorAnswer {
  challenge: string;
  code: string;
}

export interface TwoFactorChallenge {
  challenge: string;
  /** Seconds. */
  expiresIn: number;
}

export interface TwoFactorCode {
  code: string;
}

export interface TwoFactorRead {
  enabled: boolean;
  recovery_codes_left: number;
}

export interface TwoFactorReadResource {
  data: TwoFactorRead;
}

export interface TwoFactorSecret {
  secret: string;
  uri: string;
}

export interface TwoFactorSecretResource {
  data: TwoFactorSecret;
}

export interface UndoRead {
  job_id: number;
  status: string;
  progress: number;
  error: string;
  contacts_removed: number | null;
  contacts_kept: number | null;
  contacts_restored: number | null;
  memberships_removed: number | null;
  labels_removed: number | null;
}

export interface Unread {
  unread: number;
}

export interface UnreadResource {
  data: Unread;
}

export interface UserCounts {
  total: number;
  active: number;
  new: number;
  seen: number;
}

export interface UserCreate {
  email: string;
  name: string;
  password: string;
  profile?: Profile;
  plan_id?: number | null;
  locale?: "en" | "es" | "pt-BR";
  timezone?: string;
}

export interface UserRead {
  id: number;
  email: string;
  name: string;
  profile: Profile;
  status: UserStatus;
  plan_id: number | null;
  locale: "en" | "es" | "pt-BR";
  timezone: string;
  due_access_at: string | null;
  canceled_at: string | null;
  last_login_at: string | null;
  email_confirmed_at: string | null;
  created_at: string;
  updated_at: string;
}

export interface UserReadPage {
  data: Array<UserRead>;
  links: Links;
  meta: Meta;
}

export interface UserReadResource {
  data: UserRead;
}

/** Whether an account may be used. */
export type UserStatus = "active" | "inactive" | "canceled";

export interface UserUpdate {
  email?: string;
  name?: string;
  profile?: Profile;
  status?: UserStatus;
  plan_id?: number;
  due_access_at?: string | null;
  locale?: "en" | "es" | "pt-BR";
  timezone?: string;
}

export interface VariableCondition {
  name: string;
  op?: "is" | "is_not" | "contains" | "filled" | "empty";
  value?: string;
}

export interface WebhookLogRead {
  id: number;
  type: string;
  url: string;
  payload: unknown;
  response_code: number | null;
  response_body: string;
  created_at: string;
}

export interface WebhookLogReadPage {
  data: Array<WebhookLogRead>;
  links: Links;
  meta: Meta;
}

export interface WebhookLogReadScroll {
  data: Array<WebhookLogRead>;
  links: ScrollLinks;
  meta: ScrollMeta;
}

export interface WebhooksOutgoingDeliveryRead {
  id: number;
  endpoint_id: number;
  event_id: string;
  type: string;
  status: WebhooksTablesDeliveryStatus;
  attempts: number;
  response_code: number | null;
  response_body: string;
  error: string;
  body: EventRead;
  next_attempt_at: string | null;
  attempted_at: string | null;
  finished_at: string | null;
  created_at: string;
}

/** Where a delivery to an endpoint stands. */
export type WebhooksTablesDeliveryStatus = "pending" | "delivered" | "failed";

export interface Window {
  start: string;
  end: string;
  weekdays?: Array<number>;
}

export interface strListResource {
  data: Array<string>;
}

/** What every operation takes and answers, by its id. */
export interface Operations {
  /** Put contacts into an audience */
  AddPublicContacts: {
    path: { public_id: number; };
    query: Record<never, never>;
    body: Selection;
    answer: AffectedResource;
  };
  /** Act for a user */
  AdminActAsUser: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: ActAs;
    answer: SignedIn;
  };
  /** Cancel a subscription */
  AdminCancelSubscription: {
    path: { subscription_id: number; };
    query: Record<never, never>;
    body: CancelWanted;
    answer: SubscriptionReadResource;
  };
  /** End an alarm */
  AdminClearAlarm: {
    path: { alarm_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: AlarmReadResource;
  };
  /** Make a plan */
  AdminCreatePlan: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PlanCreate;
    answer: PlanReadResource;
  };
  /** Add a server */
  AdminCreateServer: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ServerCreate;
    answer: ServerReadResource;
  };
  /** Make a user */
  AdminCreateUser: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: UserCreate;
    answer: UserReadResource;
  };
  /** Delete a plan */
  AdminDeletePlan: {
    path: { plan_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete a server */
  AdminDeleteServer: {
    path: { server_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Discard a failed message */
  AdminDiscardMessage: {
    path: { name: string; message_id: string; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Download failed messages */
  AdminDownloadFailedMessages: {
    path: { name: string; };
    query: { actor?: string; failure?: string; from?: string; to?: string; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the log */
  AdminDownloadLogs: {
    path: Record<never, never>;
    query: { action?: string; entity?: string; entity_id?: number; from?: string; to?: string; search?: string; user_id?: number; actor_id?: number; };
    body: undefined;
    answer: string;
  };
  /** Download everybody's numbers */
  AdminDownloadNumbers: {
    path: Record<never, never>;
    query: { user_id?: number; server_id?: number; provider?: string; connection?: SenderState; status_connection?: boolean; status?: boolean; extra?: boolean; from?: string; to?: string; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the payments */
  AdminDownloadPayments: {
    path: Record<never, never>;
    query: { gateway?: string; status?: PaymentStatus; currency?: string; from?: string; to?: string; search?: string; user_id?: number; };
    body: undefined;
    answer: string;
  };
  /** Download the revenue */
  AdminDownloadRevenue: {
    path: Record<never, never>;
    query: { from?: string; to?: string; gateway?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the servers */
  AdminDownloadServers: {
    path: Record<never, never>;
    query: { provider?: string; status?: boolean; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the report of subscriptions */
  AdminDownloadSubscriptionReport: {
    path: Record<never, never>;
    query: { from?: string; to?: string; gateway?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the subscriptions */
  AdminDownloadSubscriptions: {
    path: Record<never, never>;
    query: { gateway?: string; status?: SubscriptionStatus; plan_id?: number; from?: string; to?: string; search?: string; user_id?: number; };
    body: undefined;
    answer: string;
  };
  /** Download the users */
  AdminDownloadUsers: {
    path: Record<never, never>;
    query: { status?: UserStatus; profile?: Profile; plan_id?: number; from?: string; to?: string; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Download deliveries */
  AdminDownloadWebhooksLog: {
    path: Record<never, never>;
    query: { type?: string; response_code?: number; number_id?: number; from?: string; to?: string; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Erase a user */
  AdminEraseUser: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Ask the gateway about a subscription */
  AdminFetchSubscription: {
    path: { subscription_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: SubscriptionAdministrationReadResource;
  };
  /** Grant a number */
  AdminGrantNumber: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: NumberGrant;
    answer: NumberReadResource;
  };
  /** List the alarms */
  AdminListAlarms: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; standing?: boolean; };
    body: undefined;
    answer: AlarmReadPage;
  };
  /** List failed messages */
  AdminListFailedMessages: {
    path: { name: string; };
    query: { page?: number; per_page?: number; sort?: string; search?: string; actor?: string; failure?: string; from?: string; to?: string; };
    body: undefined;
    answer: DeadLetterPage;
  };
  /** List what waits for a gateway */
  AdminListGatewayFetches: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; gateway?: string; failed?: boolean; };
    body: undefined;
    answer: GatewayFetchReadPage;
  };
  /** List all jobs */
  AdminListJobs: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; kind?: string; status?: JobStatus; user_id?: number; };
    body: undefined;
    answer: JobAdministrationReadPage;
  };
  /** List the log */
  AdminListLogs: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; action?: string; entity?: string; entity_id?: number; from?: string; to?: string; user_id?: number; actor_id?: number; cursor?: string; };
    body: undefined;
    answer: LogReadPage | LogReadScroll;
  };
  /** List everybody's numbers */
  AdminListNumbers: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; user_id?: number; server_id?: number; provider?: string; connection?: SenderState; status_connection?: boolean; status?: boolean; extra?: boolean; from?: string; to?: string; cursor?: string; };
    body: undefined;
    answer: NumberAdministrationReadPage | NumberAdministrationReadScroll;
  };
  /** List the payments */
  AdminListPayments: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; gateway?: string; status?: PaymentStatus; currency?: string; from?: string; to?: string; user_id?: number; cursor?: string; };
    body: undefined;
    answer: PaymentAdministrationReadPage | PaymentAdministrationReadScroll;
  };
  /** List the plans */
  AdminListPlans: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: PlanReadPage;
  };
  /** List the queues */
  AdminListQueues: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: QueueReadListResource;
  };
  /** List how a server was */
  AdminListServerHealth: {
    path: { server_id: number; };
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: ServerHealthReadPage;
  };
  /** List the servers */
  AdminListServers: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; provider?: string; status?: boolean; };
    body: undefined;
    answer: ServerReadPage;
  };
  /** List the settings */
  AdminListSettings: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: SettingReadListResource;
  };
  /** List the subscriptions */
  AdminListSubscriptions: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; gateway?: string; status?: SubscriptionStatus; plan_id?: number; from?: string; to?: string; user_id?: number; cursor?: string; };
    body: undefined;
    answer: SubscriptionAdministrationReadPage | SubscriptionAdministrationReadScroll;
  };
  /** List the users */
  AdminListUsers: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; status?: UserStatus; profile?: Profile; plan_id?: number; from?: string; to?: string; };
    body: undefined;
    answer: UserReadPage;
  };
  /** List deliveries */
  AdminListWebhooksLog: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; type?: string; response_code?: number; number_id?: number; from?: string; to?: string; cursor?: string; };
    body: undefined;
    answer: WebhookLogReadPage | WebhookLogReadScroll;
  };
  /** Sign a user out */
  AdminLogOutUser: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Move a number to another server */
  AdminMoveNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: NumberMove;
    answer: NumberReadResource;
  };
  /** Probe a server */
  AdminProbeServer: {
    path: { server_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ServerReadResource;
  };
  /** Pay a payment back */
  AdminRefundPayment: {
    path: { payment_id: number; };
    query: Record<never, never>;
    body: RefundWanted;
    answer: PaymentAdministrationReadResource;
  };
  /** Take a second factor away */
  AdminRemoveTwoFactor: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Fetch once more */
  AdminReplayGatewayFetch: {
    path: { fetch_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Apply or send an event again */
  AdminReplayWebhook: {
    path: { entry_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Have a user's export made */
  AdminRequestExport: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ExportReadResource;
  };
  /** Retry a failed job */
  AdminRetryJob: {
    path: { job_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: JobAdministrationReadResource;
  };
  /** Retry a failed message */
  AdminRetryMessage: {
    path: { name: string; message_id: string; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Show a payment */
  AdminShowPayment: {
    path: { payment_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: PaymentAdministrationReadResource;
  };
  /** Show a plan */
  AdminShowPlan: {
    path: { plan_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: PlanReadResource;
  };
  /** Report the revenue */
  AdminShowRevenue: {
    path: Record<never, never>;
    query: { from?: string; to?: string; gateway?: string; };
    body: undefined;
    answer: RevenueRowListResource;
  };
  /** Show a server */
  AdminShowServer: {
    path: { server_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ServerReadResource;
  };
  /** Show the statistics */
  AdminShowStatistics: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: StatisticsResource;
  };
  /** Show a subscription */
  AdminShowSubscription: {
    path: { subscription_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: SubscriptionAdministrationReadResource;
  };
  /** Report the subscriptions */
  AdminShowSubscriptionReport: {
    path: Record<never, never>;
    query: { from?: string; to?: string; gateway?: string; };
    body: undefined;
    answer: SubscriptionsRowListResource;
  };
  /** Show a user */
  AdminShowUser: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: UserReadResource;
  };
  /** Change a plan */
  AdminUpdatePlan: {
    path: { plan_id: number; };
    query: Record<never, never>;
    body: PlanUpdate;
    answer: PlanReadResource;
  };
  /** Change a server */
  AdminUpdateServer: {
    path: { server_id: number; };
    query: Record<never, never>;
    body: ServerUpdate;
    answer: ServerReadResource;
  };
  /** Change settings */
  AdminUpdateSettings: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: SettingsUpdate;
    answer: SettingReadListResource;
  };
  /** Change a user */
  AdminUpdateUser: {
    path: { user_id: number; };
    query: Record<never, never>;
    body: UserUpdate;
    answer: UserReadResource;
  };
  /** Permit a connection to a channel */
  AuthorizeChannel: {
    path: Record<never, never>;
    query: { notifier?: string; };
    body: ChannelRequest;
    answer: Record<string, string>;
  };
  /** Subscribe to a plan */
  BeginCheckout: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CheckoutCreate;
    answer: CheckoutReadResource;
  };
  /** Begin a second factor */
  BeginTwoFactor: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PasswordProof;
    answer: TwoFactorSecretResource;
  };
  /** Block a contact */
  BlockContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: ContactBlock;
    answer: ContactReadResource;
  };
  /** Block many contacts */
  BlockContacts: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: BlockSelection;
    answer: AffectedResource | JobReadResource;
  };
  /** Block a number or an address */
  BlockNumber: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: BlockCreate;
    answer: BlockReadResource;
  };
  /** Cancel a campaign */
  CancelCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: CampaignReadResource;
  };
  /** End a job */
  CancelJob: {
    path: { job_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: JobReadResource;
  };
  /** Cancel the subscription */
  CancelSubscription: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CancelWanted;
    answer: SubscriptionReadResource;
  };
  /** Change my password */
  ChangePassword: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PasswordChange;
    answer: undefined;
  };
  /** Change the plan */
  ChangePlan: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ChangeWanted;
    answer: StepReadResource;
  };
  /** Whether the process lives */
  CheckLive: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Health;
  };
  /** Look a phone number up */
  CheckPhone: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: CheckCreate;
    answer: CheckReadResource;
  };
  /** Whether the process can work */
  CheckReady: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Readiness;
  };
  /** Confirm an address */
  ConfirmEmail: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: EmailConfirmation;
    answer: undefined;
  };
  /** Switch the second factor on */
  ConfirmTwoFactor: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: TwoFactorCode;
    answer: RecoveryCodesResource;
  };
  /** Connect a number */
  ConnectNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: NumberReadResource;
  };
  /** Count whom filters describe */
  CountAudience: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: AudienceCountCreate;
    answer: AudienceCountResource;
  };
  /** Count what is unread */
  CountUnreadNotifications: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: UnreadResource;
  };
  /** Make an API key */
  CreateApiKey: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ApiKeyCreate;
    answer: ApiKeyCreatedResource;
  };
  /** Make a campaign */
  CreateCampaign: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: CampaignCreate;
    answer: CampaignReadResource;
  };
  /** Make a contact */
  CreateContact: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ContactCreate;
    answer: ContactReadResource;
  };
  /** Upload a file of contacts */
  CreateImport: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: FormData;
    answer: ImportReadResource;
  };
  /** Make a label */
  CreateLabel: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: LabelCreate;
    answer: LabelReadResource;
  };
  /** Add a number */
  CreateNumber: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: NumberCreate;
    answer: NumberReadResource;
  };
  /** Make an audience */
  CreatePublic: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PublicCreate;
    answer: PublicReadResource;
  };
  /** Add a webhook endpoint */
  CreateWebhookEndpoint: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: EndpointCreate;
    answer: EndpointSecretResource;
  };
  /** Delete an API key */
  DeleteApiKey: {
    path: { key_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete a campaign */
  DeleteCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete a contact */
  DeleteContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete many contacts */
  DeleteContacts: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Selection;
    answer: DeletedResource | JobReadResource;
  };
  /** Delete a label */
  DeleteLabel: {
    path: { label_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete a file */
  DeleteMedia: {
    path: { media_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete a number */
  DeleteNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Sign out elsewhere */
  DeleteOtherSessions: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete an audience */
  DeletePublic: {
    path: { public_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Sign out a device */
  DeleteSession: {
    path: { session_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Delete a webhook endpoint */
  DeleteWebhookEndpoint: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Switch the second factor off */
  DisableTwoFactor: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PasswordProof;
    answer: undefined;
  };
  /** Disable a webhook endpoint */
  DisableWebhookEndpoint: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: EndpointReadResource;
  };
  /** Disconnect a number */
  DisconnectNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: NumberReadResource;
  };
  /** Download the campaigns */
  DownloadCampaigns: {
    path: Record<never, never>;
    query: { status?: CampaignStatus; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the contacts */
  DownloadContacts: {
    path: Record<never, never>;
    query: { label_id?: Array<number>; status?: 1 | 2 | null; type?: 1 | 2 | null; blocked?: boolean; created_from?: string; created_to?: string; filters?: string; public_id?: number; search?: string; };
    body: undefined;
    answer: string;
  };
  /** Download the contacts for Excel */
  DownloadContactsAsWorkbook: {
    path: Record<never, never>;
    query: { label_id?: Array<number>; status?: 1 | 2 | null; type?: 1 | 2 | null; blocked?: boolean; created_from?: string; created_to?: string; filters?: string; public_id?: number; search?: string; };
    body: undefined;
    answer: Blob;
  };
  /** Download my last export */
  DownloadExport: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** Download the rows that did not go in */
  DownloadImportErrors: {
    path: { import_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: string;
  };
  /** Download a file */
  DownloadMedia: {
    path: { media_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** Download the report */
  DownloadReport: {
    path: { campaign_id: number; };
    query: { delivered?: boolean; readed?: boolean; replied?: boolean; needs_attention?: boolean; state?: Array<"pending" | "leased" | "accepted" | "sent" | "failed" | "unknown" | "skipped">; reason?: string; message_id?: number; number_id?: number; contact_id?: number; };
    body: undefined;
    answer: string;
  };
  /** Copy a campaign */
  DuplicateCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: Duplicate | null;
    answer: CampaignReadResource;
  };
  /** Enable a webhook endpoint */
  EnableWebhookEndpoint: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: EndpointReadResource;
  };
  /** Erase a contact */
  EraseContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Erase my account */
  EraseMe: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Erasure;
    answer: undefined;
  };
  /** Explain what is happening */
  ExplainCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ExplanationResource;
  };
  /** Explain what happens to a recipient */
  ExplainRecipient: {
    path: { campaign_id: number; recipient_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ExplanationResource;
  };
  /** Export what is held of a contact */
  ExportContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** Keep a file from the web */
  FetchMedia: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: MediaFetch;
    answer: MediaReadResource;
  };
  /** Ask for a new password */
  ForgetPassword: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ForgottenPassword;
    answer: undefined;
  };
  /** Get a ticket for the stream of events */
  IssueEventTicket: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: TicketReadResource;
  };
  /** Label many contacts */
  LabelContacts: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: LabelSelection;
    answer: AffectedResource | JobReadResource;
  };
  /** List my API keys */
  ListApiKeys: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: ApiKeyReadPage;
  };
  /** List the block list */
  ListBlockedNumbers: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: BlockReadPage;
  };
  /** List the campaigns */
  ListCampaigns: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; status?: CampaignStatus; };
    body: undefined;
    answer: CampaignListedPage;
  };
  /** List the deletions of contacts */
  ListContactDeletions: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: DeletionReadPage;
  };
  /** List the contacts */
  ListContacts: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; label_id?: Array<number>; status?: 1 | 2 | null; type?: 1 | 2 | null; blocked?: boolean; created_from?: string; created_to?: string; filters?: string; public_id?: number; cursor?: string; };
    body: undefined;
    answer: ContactReadPage | ContactReadScroll;
  };
  /** List contacts that are one person */
  ListDuplicates: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: DuplicateReadPage;
  };
  /** List the payment gateways */
  ListGateways: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: GatewayReadListResource;
  };
  /** List the imports */
  ListImports: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: ImportReadPage;
  };
  /** List the jobs */
  ListJobs: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; kind?: string; status?: "waiting" | "running" | "done" | "failed" | "canceled" | null; };
    body: undefined;
    answer: JobReadPage;
  };
  /** List the labels */
  ListLabels: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: LabelReadPage;
  };
  /** List the files */
  ListMedia: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; kind?: MediaKind; state?: "fetching" | "ready" | "failed"; };
    body: undefined;
    answer: MediaReadPage;
  };
  /** List the notifications */
  ListNotifications: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; unread?: boolean; kind?: string; };
    body: undefined;
    answer: NotificationReadPage;
  };
  /** List your numbers */
  ListNumbers: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; status_connection?: boolean; server_id?: number; };
    body: undefined;
    answer: NumberReadPage;
  };
  /** List what was done in one's account */
  ListOwnLogs: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; action?: string; entity?: string; entity_id?: number; from?: string; to?: string; cursor?: string; };
    body: undefined;
    answer: OwnLogReadPage | OwnLogReadScroll;
  };
  /** List one's payments */
  ListPayments: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; gateway?: string; status?: PaymentStatus; currency?: string; from?: string; to?: string; cursor?: string; };
    body: undefined;
    answer: PaymentReadPage | PaymentReadScroll;
  };
  /** List the plans */
  ListPlans: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: PlanReadPage;
  };
  /** List the plugins */
  ListPlugins: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: PluginInfoListResource;
  };
  /** List the contacts of an audience */
  ListPublicContacts: {
    path: { public_id: number; };
    query: { page?: number; per_page?: number; sort?: string; search?: string; cursor?: string; };
    body: undefined;
    answer: ContactReadPage | ContactReadScroll;
  };
  /** List the audiences */
  ListPublics: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; type?: 1 | 2 | 3 | null; };
    body: undefined;
    answer: PublicReadPage;
  };
  /** List the recipients */
  ListRecipients: {
    path: { campaign_id: number; };
    query: { page?: number; per_page?: number; sort?: string; search?: string; delivered?: boolean; readed?: boolean; replied?: boolean; needs_attention?: boolean; state?: Array<"pending" | "leased" | "accepted" | "sent" | "failed" | "unknown" | "skipped">; reason?: string; message_id?: number; number_id?: number; contact_id?: number; cursor?: string; };
    body: undefined;
    answer: RecipientReadPage | RecipientReadScroll;
  };
  /** List the servers */
  ListServers: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; };
    body: undefined;
    answer: ServerSummaryPage;
  };
  /** List my sessions */
  ListSessions: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: DeviceListResource;
  };
  /** List the names of variables */
  ListVariables: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: strListResource;
  };
  /** List the deliveries of an endpoint */
  ListWebhookDeliveries: {
    path: { endpoint_id: number; };
    query: { page?: number; per_page?: number; sort?: string; search?: string; status?: WebhooksTablesDeliveryStatus; type?: string; cursor?: string; };
    body: undefined;
    answer: DeliveryReadPage | DeliveryReadScroll;
  };
  /** List your webhook endpoints */
  ListWebhookEndpoints: {
    path: Record<never, never>;
    query: { page?: number; per_page?: number; sort?: string; search?: string; status?: EndpointStatus; };
    body: undefined;
    answer: EndpointReadPage;
  };
  /** Listen to events */
  ListenToEvents: {
    path: Record<never, never>;
    query: { last_event_id?: string; ticket?: string; };
    body: undefined;
    answer: string;
  };
  /** Sign in */
  LogIn: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Credentials;
    answer: SignedIn | TwoFactorChallenge;
  };
  /** Sign out */
  LogOut: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Sign out everywhere */
  LogOutEverywhere: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Log a number out */
  LogOutNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: NumberReadResource;
  };
  /** Mail the confirmation again */
  MailConfirmationAgain: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ForgottenPassword;
    answer: undefined;
  };
  /** Mark a notification as read or unread */
  MarkNotification: {
    path: { notification_id: number; };
    query: Record<never, never>;
    body: ReadMark;
    answer: undefined;
  };
  /** Measure how uniform the texts are */
  MeasureEntropy: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: JobReadResource;
  };
  /** Merge contacts into one */
  MergeContacts: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: ContactMerge;
    answer: ContactReadResource;
  };
  /** Open the gateway's page */
  OpenPaymentPortal: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: PortalReadResource;
  };
  /** Pause a campaign */
  PauseCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: CampaignReadResource;
  };
  /** Show the flight plan */
  PlanCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: FlightPlanResource;
  };
  /** Preview the messages */
  PreviewCampaign: {
    path: { campaign_id: number; };
    query: { contact_id?: number; };
    body: undefined;
    answer: PreviewListResource;
  };
  /** Show the first rows as they would be stored */
  PreviewImport: {
    path: { import_id: number; };
    query: { rows?: number; };
    body: undefined;
    answer: PreviewReadResource;
  };
  /** Preview a change of plan */
  PreviewPlanChange: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ChangeWanted;
    answer: ChangePreviewReadResource;
  };
  /** Mark notifications as read */
  ReadNotifications: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ReadUpTo;
    answer: UnreadResource;
  };
  /** Read a file by its signed address */
  ReadSignedMedia: {
    path: { token: string; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** ReceiveGateway */
  ReceiveGatewayWebhook: {
    path: { plugin: string; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** Receive */
  ReceiveWebhook: {
    path: { plugin: string; token: string; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** Replace this token */
  RefreshToken: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: SignedIn;
  };
  /** Make an account */
  Register: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Registration;
    answer: SignedIn | AwaitingConfirmation;
  };
  /** Take a contact out of an audience */
  RemovePublicContact: {
    path: { public_id: number; contact_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Take contacts out of an audience */
  RemovePublicContacts: {
    path: { public_id: number; };
    query: Record<never, never>;
    body: Selection;
    answer: AffectedResource;
  };
  /** Replace the recovery codes */
  RenewRecoveryCodes: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PasswordProof;
    answer: RecoveryCodesResource;
  };
  /** Send a delivery again */
  ReplayWebhookDelivery: {
    path: { endpoint_id: number; delivery_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: DeliveryReadResource;
  };
  /** Ask for everything that is held of me */
  RequestExport: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: ExportReadResource;
  };
  /** Set a new password */
  ResetPassword: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: PasswordReset;
    answer: undefined;
  };
  /** Resolve every recipient in doubt */
  ResolveCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: ResolveMany;
    answer: CampaignReadResource;
  };
  /** Resolve a recipient in doubt */
  ResolveRecipient: {
    path: { campaign_id: number; recipient_id: number; };
    query: Record<never, never>;
    body: Resolve;
    answer: RecipientReadResource;
  };
  /** Restart a number */
  RestartNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: NumberReadResource;
  };
  /** Resume a campaign */
  ResumeCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: CampaignReadResource;
  };
  /** Resume the subscription */
  ResumeSubscription: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: SubscriptionReadResource;
  };
  /** Retry what failed */
  RetryCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: Retry | null;
    answer: CampaignReadResource;
  };
  /** Try a failed payment again */
  RetryPayment: {
    path: { payment_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: RetryReadResource;
  };
  /** Roll the secret */
  RollWebhookSecret: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: EndpointSecretResource;
  };
  /** Send a test message */
  SendTestMessage: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: TrialMessageCreate;
    answer: TrialMessageReadResource;
  };
  /** Make the first administrator */
  SetUp: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: FirstAdministrator;
    answer: SignedIn;
  };
  /** Show a blocked number */
  ShowBlockedNumber: {
    path: { block_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: BlockReadResource;
  };
  /** Show a campaign */
  ShowCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: CampaignReadResource;
  };
  /** Show a checkout */
  ShowCheckout: {
    path: { checkout_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: CheckoutReadResource;
  };
  /** Show one's settings */
  ShowConfigurations: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: ConfigurationsReadResource;
  };
  /** Show a contact */
  ShowContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ContactReadResource;
  };
  /** Show what happened with a contact */
  ShowContactTimeline: {
    path: { contact_id: number; };
    query: { per_page?: number; cursor?: string; };
    body: undefined;
    answer: TimelineEntryScroll;
  };
  /** Show how uniform the texts are */
  ShowEntropy: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: EntropyReadResource;
  };
  /** Show my last export */
  ShowExport: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: ExportReadResource;
  };
  /** Show an import */
  ShowImport: {
    path: { import_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ImportReadResource;
  };
  /** Show a job */
  ShowJob: {
    path: { job_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: JobReadResource;
  };
  /** Show a label */
  ShowLabel: {
    path: { label_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: LabelReadResource;
  };
  /** Show my account */
  ShowMe: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: UserReadResource;
  };
  /** Show a file */
  ShowMedia: {
    path: { media_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: MediaReadResource;
  };
  /** Show a notification */
  ShowNotification: {
    path: { notification_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: NotificationDetailResource;
  };
  /** Show a number */
  ShowNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: NumberReadResource;
  };
  /** Show the sign-in code */
  ShowNumberQr: {
    path: { number_id: number; };
    query: { phone?: string; };
    body: undefined;
    answer: ChallengeReadResource | Blob;
  };
  /** Show a number's browser */
  ShowNumberScreenshot: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
  /** Show a payment */
  ShowPayment: {
    path: { payment_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: PaymentReadResource;
  };
  /** Show an audience */
  ShowPublic: {
    path: { public_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: PublicReadResource;
  };
  /** Show the realtime services */
  ShowRealtime: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: RealtimeReadResource;
  };
  /** Show the report */
  ShowReport: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ReportResource;
  };
  /** Show one's plan and subscription */
  ShowSubscription: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: AccessReadResource;
  };
  /** Show my second factor */
  ShowTwoFactor: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: undefined;
    answer: TwoFactorReadResource;
  };
  /** Show a webhook endpoint */
  ShowWebhookEndpoint: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: EndpointReadResource;
  };
  /** Start a campaign */
  StartCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: CampaignReadResource;
  };
  /** Start an import */
  StartImport: {
    path: { import_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ImportReadResource;
  };
  /** Sync the contacts of a number */
  SyncContacts: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: SyncCreate;
    answer: JobReadResource;
  };
  /** Send a test event */
  TestWebhookEndpoint: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: DeliveryReadResource;
  };
  /** Unblock a contact */
  UnblockContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ContactReadResource;
  };
  /** Unblock many contacts */
  UnblockContacts: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: Selection;
    answer: AffectedResource | JobReadResource;
  };
  /** Unblock a number */
  UnblockNumber: {
    path: { block_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: undefined;
  };
  /** Unblock a number as it is written */
  UnblockWrittenNumber: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: BlockRemove;
    answer: undefined;
  };
  /** Undo a deletion of contacts */
  UndoContactDeletion: {
    path: { deletion_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: JobReadResource;
  };
  /** Take an import back */
  UndoImport: {
    path: { import_id: number; };
    query: Record<never, never>;
    body: undefined;
    answer: ImportReadResource;
  };
  /** Change a campaign */
  UpdateCampaign: {
    path: { campaign_id: number; };
    query: Record<never, never>;
    body: CampaignUpdate;
    answer: CampaignReadResource;
  };
  /** Change one's settings */
  UpdateConfigurations: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ConfigurationsUpdate;
    answer: ConfigurationsReadResource;
  };
  /** Change a contact */
  UpdateContact: {
    path: { contact_id: number; };
    query: Record<never, never>;
    body: ContactUpdate;
    answer: ContactReadResource;
  };
  /** Change an import before it starts */
  UpdateImport: {
    path: { import_id: number; };
    query: Record<never, never>;
    body: ImportUpdate;
    answer: ImportReadResource;
  };
  /** Change a label */
  UpdateLabel: {
    path: { label_id: number; };
    query: Record<never, never>;
    body: LabelUpdate;
    answer: LabelReadResource;
  };
  /** Change my account */
  UpdateMe: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: ProfileUpdate;
    answer: UserReadResource;
  };
  /** Change a number */
  UpdateNumber: {
    path: { number_id: number; };
    query: Record<never, never>;
    body: NumberUpdate;
    answer: NumberUpdatedResource;
  };
  /** Change an audience */
  UpdatePublic: {
    path: { public_id: number; };
    query: Record<never, never>;
    body: PublicUpdate;
    answer: PublicReadResource;
  };
  /** Change a webhook endpoint */
  UpdateWebhookEndpoint: {
    path: { endpoint_id: number; };
    query: Record<never, never>;
    body: EndpointUpdate;
    answer: EndpointReadResource;
  };
  /** Upload a file */
  UploadMedia: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: FormData;
    answer: MediaReadResource;
  };
  /** Finish a sign-in */
  VerifyTwoFactor: {
    path: Record<never, never>;
    query: Record<never, never>;
    body: TwoFactorAnswer;
    answer: SignedIn;
  };
  /** Verify */
  VerifyWebhook: {
    path: { plugin: string; token: string; };
    query: Record<never, never>;
    body: undefined;
    answer: Blob;
  };
}

/** Where every operation is. */
export const ROUTES = {
  AddPublicContacts: { method: "POST", path: "/api/publics/{public_id}/contacts" },
  AdminActAsUser: { method: "POST", path: "/api/admin/users/{user_id}/act-as" },
  AdminCancelSubscription: { method: "POST", path: "/api/admin/subscriptions/{subscription_id}/cancel" },
  AdminClearAlarm: { method: "POST", path: "/api/admin/alarms/{alarm_id}/clear" },
  AdminCreatePlan: { method: "POST", path: "/api/admin/plans" },
  AdminCreateServer: { method: "POST", path: "/api/admin/servers" },
  AdminCreateUser: { method: "POST", path: "/api/admin/users" },
  AdminDeletePlan: { method: "DELETE", path: "/api/admin/plans/{plan_id}" },
  AdminDeleteServer: { method: "DELETE", path: "/api/admin/servers/{server_id}" },
  AdminDiscardMessage: { method: "DELETE", path: "/api/admin/queues/{name}/failed/{message_id}" },
  AdminDownloadFailedMessages: { method: "GET", path: "/api/admin/queues/{name}/failed.csv" },
  AdminDownloadLogs: { method: "GET", path: "/api/admin/logs.csv" },
  AdminDownloadNumbers: { method: "GET", path: "/api/admin/numbers.csv" },
  AdminDownloadPayments: { method: "GET", path: "/api/admin/payments.csv" },
  AdminDownloadRevenue: { method: "GET", path: "/api/admin/reports/revenue.csv" },
  AdminDownloadServers: { method: "GET", path: "/api/admin/servers.csv" },
  AdminDownloadSubscriptionReport: { method: "GET", path: "/api/admin/reports/subscriptions.csv" },
  AdminDownloadSubscriptions: { method: "GET", path: "/api/admin/subscriptions.csv" },
  AdminDownloadUsers: { method: "GET", path: "/api/admin/users.csv" },
  AdminDownloadWebhooksLog: { method: "GET", path: "/api/admin/webhooks-log.csv" },
  AdminEraseUser: { method: "DELETE", path: "/api/admin/users/{user_id}" },
  AdminFetchSubscription: { method: "POST", path: "/api/admin/subscriptions/{subscription_id}/fetch" },
  AdminGrantNumber: { method: "POST", path: "/api/admin/numbers" },
  AdminListAlarms: { method: "GET", path: "/api/admin/alarms" },
  AdminListFailedMessages: { method: "GET", path: "/api/admin/queues/{name}/failed" },
  AdminListGatewayFetches: { method: "GET", path: "/api/admin/gateway-fetches" },
  AdminListJobs: { method: "GET", path: "/api/admin/jobs" },
  AdminListLogs: { method: "GET", path: "/api/admin/logs" },
  AdminListNumbers: { method: "GET", path: "/api/admin/numbers" },
  AdminListPayments: { method: "GET", path: "/api/admin/payments" },
  AdminListPlans: { method: "GET", path: "/api/admin/plans" },
  AdminListQueues: { method: "GET", path: "/api/admin/queues" },
  AdminListServerHealth: { method: "GET", path: "/api/admin/servers/{server_id}/health" },
  AdminListServers: { method: "GET", path: "/api/admin/servers" },
  AdminListSettings: { method: "GET", path: "/api/admin/settings" },
  AdminListSubscriptions: { method: "GET", path: "/api/admin/subscriptions" },
  AdminListUsers: { method: "GET", path: "/api/admin/users" },
  AdminListWebhooksLog: { method: "GET", path: "/api/admin/webhooks-log" },
  AdminLogOutUser: { method: "POST", path: "/api/admin/users/{user_id}/logout" },
  AdminMoveNumber: { method: "POST", path: "/api/admin/numbers/{number_id}/move" },
  AdminProbeServer: { method: "POST", path: "/api/admin/servers/{server_id}/probe" },
  AdminRefundPayment: { method: "POST", path: "/api/admin/payments/{payment_id}/refund" },
  AdminRemoveTwoFactor: { method: "DELETE", path: "/api/admin/users/{user_id}/two-factor" },
  AdminReplayGatewayFetch: { method: "POST", path: "/api/admin/gateway-fetches/{fetch_id}/replay" },
  AdminReplayWebhook: { method: "POST", path: "/api/admin/webhooks-log/{entry_id}/replay" },
  AdminRequestExport: { method: "POST", path: "/api/admin/users/{user_id}/export" },
  AdminRetryJob: { method: "POST", path: "/api/admin/jobs/{job_id}/retry" },
  AdminRetryMessage: { method: "POST", path: "/api/admin/queues/{name}/failed/{message_id}/retry" },
  AdminShowPayment: { method: "GET", path: "/api/admin/payments/{payment_id}" },
  AdminShowPlan: { method: "GET", path: "/api/admin/plans/{plan_id}" },
  AdminShowRevenue: { method: "GET", path: "/api/admin/reports/revenue" },
  AdminShowServer: { method: "GET", path: "/api/admin/servers/{server_id}" },
  AdminShowStatistics: { method: "GET", path: "/api/admin/stats" },
  AdminShowSubscription: { method: "GET", path: "/api/admin/subscriptions/{subscription_id}" },
  AdminShowSubscriptionReport: { method: "GET", path: "/api/admin/reports/subscriptions" },
  AdminShowUser: { method: "GET", path: "/api/admin/users/{user_id}" },
  AdminUpdatePlan: { method: "PATCH", path: "/api/admin/plans/{plan_id}" },
  AdminUpdateServer: { method: "PATCH", path: "/api/admin/servers/{server_id}" },
  AdminUpdateSettings: { method: "PATCH", path: "/api/admin/settings" },
  AdminUpdateUser: { method: "PATCH", path: "/api/admin/users/{user_id}" },
  AuthorizeChannel: { method: "POST", path: "/api/realtime/auth" },
  BeginCheckout: { method: "POST", path: "/api/payments/checkout" },
  BeginTwoFactor: { method: "POST", path: "/api/auth/two-factor" },
  BlockContact: { method: "POST", path: "/api/contacts/{contact_id}/block" },
  BlockContacts: { method: "POST", path: "/api/contacts/bulk/block" },
  BlockNumber: { method: "POST", path: "/api/block-contacts" },
  CancelCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/cancel" },
  CancelJob: { method: "POST", path: "/api/jobs/{job_id}/cancel" },
  CancelSubscription: { method: "POST", path: "/api/subscription/cancel" },
  ChangePassword: { method: "POST", path: "/api/auth/password" },
  ChangePlan: { method: "POST", path: "/api/subscription/change" },
  CheckLive: { method: "GET", path: "/health/live" },
  CheckPhone: { method: "POST", path: "/api/numbers/{number_id}/check" },
  CheckReady: { method: "GET", path: "/health/ready" },
  ConfirmEmail: { method: "POST", path: "/api/auth/confirm-email" },
  ConfirmTwoFactor: { method: "POST", path: "/api/auth/two-factor/confirm" },
  ConnectNumber: { method: "POST", path: "/api/numbers/{number_id}/connect" },
  CountAudience: { method: "POST", path: "/api/publics/count" },
  CountUnreadNotifications: { method: "GET", path: "/api/notifications/unread" },
  CreateApiKey: { method: "POST", path: "/api/api-keys" },
  CreateCampaign: { method: "POST", path: "/api/campaigns" },
  CreateContact: { method: "POST", path: "/api/contacts" },
  CreateImport: { method: "POST", path: "/api/imports" },
  CreateLabel: { method: "POST", path: "/api/labels" },
  CreateNumber: { method: "POST", path: "/api/numbers" },
  CreatePublic: { method: "POST", path: "/api/publics" },
  CreateWebhookEndpoint: { method: "POST", path: "/api/webhook-endpoints" },
  DeleteApiKey: { method: "DELETE", path: "/api/api-keys/{key_id}" },
  DeleteCampaign: { method: "DELETE", path: "/api/campaigns/{campaign_id}" },
  DeleteContact: { method: "DELETE", path: "/api/contacts/{contact_id}" },
  DeleteContacts: { method: "POST", path: "/api/contacts/bulk/delete" },
  DeleteLabel: { method: "DELETE", path: "/api/labels/{label_id}" },
  DeleteMedia: { method: "DELETE", path: "/api/media/{media_id}" },
  DeleteNumber: { method: "DELETE", path: "/api/numbers/{number_id}" },
  DeleteOtherSessions: { method: "DELETE", path: "/api/auth/sessions" },
  DeletePublic: { method: "DELETE", path: "/api/publics/{public_id}" },
  DeleteSession: { method: "DELETE", path: "/api/auth/sessions/{session_id}" },
  DeleteWebhookEndpoint: { method: "DELETE", path: "/api/webhook-endpoints/{endpoint_id}" },
  DisableTwoFactor: { method: "POST", path: "/api/auth/two-factor/disable" },
  DisableWebhookEndpoint: { method: "POST", path: "/api/webhook-endpoints/{endpoint_id}/disable" },
  DisconnectNumber: { method: "POST", path: "/api/numbers/{number_id}/disconnect" },
  DownloadCampaigns: { method: "GET", path: "/api/campaigns.csv" },
  DownloadContacts: { method: "GET", path: "/api/contacts.csv" },
  DownloadContactsAsWorkbook: { method: "GET", path: "/api/contacts.xlsx" },
  DownloadExport: { method: "GET", path: "/api/auth/export.zip" },
  DownloadImportErrors: { method: "GET", path: "/api/imports/{import_id}/errors.csv" },
  DownloadMedia: { method: "GET", path: "/api/media/{media_id}/content" },
  DownloadReport: { method: "GET", path: "/api/campaigns/{campaign_id}/report.csv" },
  DuplicateCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/duplicate" },
  EnableWebhookEndpoint: { method: "POST", path: "/api/webhook-endpoints/{endpoint_id}/enable" },
  EraseContact: { method: "DELETE", path: "/api/contacts/{contact_id}/personal-data" },
  EraseMe: { method: "POST", path: "/api/auth/erase" },
  ExplainCampaign: { method: "GET", path: "/api/campaigns/{campaign_id}/explain" },
  ExplainRecipient: { method: "GET", path: "/api/campaigns/{campaign_id}/recipients/{recipient_id}/explain" },
  ExportContact: { method: "GET", path: "/api/contacts/{contact_id}/export.zip" },
  FetchMedia: { method: "POST", path: "/api/media/fetch" },
  ForgetPassword: { method: "POST", path: "/api/auth/forgot-password" },
  IssueEventTicket: { method: "POST", path: "/api/events/ticket" },
  LabelContacts: { method: "POST", path: "/api/contacts/bulk/labels" },
  ListApiKeys: { method: "GET", path: "/api/api-keys" },
  ListBlockedNumbers: { method: "GET", path: "/api/block-contacts" },
  ListCampaigns: { method: "GET", path: "/api/campaigns" },
  ListContactDeletions: { method: "GET", path: "/api/contacts/deletions" },
  ListContacts: { method: "GET", path: "/api/contacts" },
  ListDuplicates: { method: "GET", path: "/api/contacts/duplicates" },
  ListGateways: { method: "GET", path: "/api/payments/gateways" },
  ListImports: { method: "GET", path: "/api/imports" },
  ListJobs: { method: "GET", path: "/api/jobs" },
  ListLabels: { method: "GET", path: "/api/labels" },
  ListMedia: { method: "GET", path: "/api/media" },
  ListNotifications: { method: "GET", path: "/api/notifications" },
  ListNumbers: { method: "GET", path: "/api/numbers" },
  ListOwnLogs: { method: "GET", path: "/api/logs" },
  ListPayments: { method: "GET", path: "/api/payments" },
  ListPlans: { method: "GET", path: "/api/plans" },
  ListPlugins: { method: "GET", path: "/api/plugins" },
  ListPublicContacts: { method: "GET", path: "/api/publics/{public_id}/contacts" },
  ListPublics: { method: "GET", path: "/api/publics" },
  ListRecipients: { method: "GET", path: "/api/campaigns/{campaign_id}/recipients" },
  ListServers: { method: "GET", path: "/api/servers" },
  ListSessions: { method: "GET", path: "/api/auth/sessions" },
  ListVariables: { method: "GET", path: "/api/contacts/variables" },
  ListWebhookDeliveries: { method: "GET", path: "/api/webhook-endpoints/{endpoint_id}/deliveries" },
  ListWebhookEndpoints: { method: "GET", path: "/api/webhook-endpoints" },
  ListenToEvents: { method: "GET", path: "/api/events" },
  LogIn: { method: "POST", path: "/api/auth/login" },
  LogOut: { method: "POST", path: "/api/auth/logout" },
  LogOutEverywhere: { method: "POST", path: "/api/auth/logout-all" },
  LogOutNumber: { method: "POST", path: "/api/numbers/{number_id}/logout" },
  MailConfirmationAgain: { method: "POST", path: "/api/auth/confirm-email/again" },
  MarkNotification: { method: "PATCH", path: "/api/notifications/{notification_id}" },
  MeasureEntropy: { method: "POST", path: "/api/campaigns/{campaign_id}/entropy" },
  MergeContacts: { method: "POST", path: "/api/contacts/{contact_id}/merge" },
  OpenPaymentPortal: { method: "POST", path: "/api/subscription/portal" },
  PauseCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/pause" },
  PlanCampaign: { method: "GET", path: "/api/campaigns/{campaign_id}/plan" },
  PreviewCampaign: { method: "GET", path: "/api/campaigns/{campaign_id}/preview" },
  PreviewImport: { method: "GET", path: "/api/imports/{import_id}/preview" },
  PreviewPlanChange: { method: "POST", path: "/api/subscription/preview" },
  ReadNotifications: { method: "POST", path: "/api/notifications/read" },
  ReadSignedMedia: { method: "GET", path: "/api/media/files/{token}" },
  ReceiveGatewayWebhook: { method: "POST", path: "/api/webhooks/{plugin}" },
  ReceiveWebhook: { method: "POST", path: "/api/webhooks/{plugin}/{token}" },
  RefreshToken: { method: "POST", path: "/api/auth/refresh" },
  Register: { method: "POST", path: "/api/auth/register" },
  RemovePublicContact: { method: "DELETE", path: "/api/publics/{public_id}/contacts/{contact_id}" },
  RemovePublicContacts: { method: "POST", path: "/api/publics/{public_id}/contacts/remove" },
  RenewRecoveryCodes: { method: "POST", path: "/api/auth/two-factor/recovery-codes" },
  ReplayWebhookDelivery: { method: "POST", path: "/api/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/replay" },
  RequestExport: { method: "POST", path: "/api/auth/export" },
  ResetPassword: { method: "POST", path: "/api/auth/reset-password" },
  ResolveCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/resolve" },
  ResolveRecipient: { method: "POST", path: "/api/campaigns/{campaign_id}/recipients/{recipient_id}/resolve" },
  RestartNumber: { method: "POST", path: "/api/numbers/{number_id}/restart" },
  ResumeCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/resume" },
  ResumeSubscription: { method: "POST", path: "/api/subscription/resume" },
  RetryCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/retry" },
  RetryPayment: { method: "POST", path: "/api/payments/{payment_id}/retry" },
  RollWebhookSecret: { method: "POST", path: "/api/webhook-endpoints/{endpoint_id}/secret" },
  SendTestMessage: { method: "POST", path: "/api/numbers/{number_id}/test-message" },
  SetUp: { method: "POST", path: "/api/setup" },
  ShowBlockedNumber: { method: "GET", path: "/api/block-contacts/{block_id}" },
  ShowCampaign: { method: "GET", path: "/api/campaigns/{campaign_id}" },
  ShowCheckout: { method: "GET", path: "/api/payments/checkouts/{checkout_id}" },
  ShowConfigurations: { method: "GET", path: "/api/configurations" },
  ShowContact: { method: "GET", path: "/api/contacts/{contact_id}" },
  ShowContactTimeline: { method: "GET", path: "/api/contacts/{contact_id}/timeline" },
  ShowEntropy: { method: "GET", path: "/api/campaigns/{campaign_id}/entropy" },
  ShowExport: { method: "GET", path: "/api/auth/export" },
  ShowImport: { method: "GET", path: "/api/imports/{import_id}" },
  ShowJob: { method: "GET", path: "/api/jobs/{job_id}" },
  ShowLabel: { method: "GET", path: "/api/labels/{label_id}" },
  ShowMe: { method: "GET", path: "/api/auth/me" },
  ShowMedia: { method: "GET", path: "/api/media/{media_id}" },
  ShowNotification: { method: "GET", path: "/api/notifications/{notification_id}" },
  ShowNumber: { method: "GET", path: "/api/numbers/{number_id}" },
  ShowNumberQr: { method: "GET", path: "/api/numbers/{number_id}/qr" },
  ShowNumberScreenshot: { method: "GET", path: "/api/numbers/{number_id}/screenshot" },
  ShowPayment: { method: "GET", path: "/api/payments/{payment_id}" },
  ShowPublic: { method: "GET", path: "/api/publics/{public_id}" },
  ShowRealtime: { method: "GET", path: "/api/realtime" },
  ShowReport: { method: "GET", path: "/api/campaigns/{campaign_id}/report" },
  ShowSubscription: { method: "GET", path: "/api/subscription" },
  ShowTwoFactor: { method: "GET", path: "/api/auth/two-factor" },
  ShowWebhookEndpoint: { method: "GET", path: "/api/webhook-endpoints/{endpoint_id}" },
  StartCampaign: { method: "POST", path: "/api/campaigns/{campaign_id}/start" },
  StartImport: { method: "POST", path: "/api/imports/{import_id}/start" },
  SyncContacts: { method: "POST", path: "/api/numbers/{number_id}/sync" },
  TestWebhookEndpoint: { method: "POST", path: "/api/webhook-endpoints/{endpoint_id}/test" },
  UnblockContact: { method: "POST", path: "/api/contacts/{contact_id}/unblock" },
  UnblockContacts: { method: "POST", path: "/api/contacts/bulk/unblock" },
  UnblockNumber: { method: "DELETE", path: "/api/block-contacts/{block_id}" },
  UnblockWrittenNumber: { method: "POST", path: "/api/block-contacts/remove" },
  UndoContactDeletion: { method: "POST", path: "/api/contacts/deletions/{deletion_id}/undo" },
  UndoImport: { method: "POST", path: "/api/imports/{import_id}/undo" },
  UpdateCampaign: { method: "PATCH", path: "/api/campaigns/{campaign_id}" },
  UpdateConfigurations: { method: "PATCH", path: "/api/configurations" },
  UpdateContact: { method: "PATCH", path: "/api/contacts/{contact_id}" },
  UpdateImport: { method: "PATCH", path: "/api/imports/{import_id}" },
  UpdateLabel: { method: "PATCH", path: "/api/labels/{label_id}" },
  UpdateMe: { method: "PATCH", path: "/api/auth/me" },
  UpdateNumber: { method: "PATCH", path: "/api/numbers/{number_id}" },
  UpdatePublic: { method: "PATCH", path: "/api/publics/{public_id}" },
  UpdateWebhookEndpoint: { method: "PATCH", path: "/api/webhook-endpoints/{endpoint_id}" },
  UploadMedia: { method: "POST", path: "/api/media" },
  VerifyTwoFactor: { method: "POST", path: "/api/auth/two-factor/verify" },
  VerifyWebhook: { method: "GET", path: "/api/webhooks/{plugin}/{token}" },
} as const satisfies Record<keyof Operations, { method: string; path: string }>;
