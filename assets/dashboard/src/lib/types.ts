// The shapes of the HTTP contract, named as in its JSON.

export type ItemState =
  | 'waiting'
  | 'indexed'
  | 'duplicate'
  | 'unsupported'
  | 'failed'
  | 'superseded'
  | 'deleted';

export type DateBasis = 'event' | 'content' | 'file' | 'ingest';
/** Whose words a passage is made of. */
export type Voice = 'own' | 'quoted' | 'signature';
export type SearchMode = 'hybrid' | 'keyword' | 'vector';

export interface Page {
  next_cursor: string | null;
}

/** What a member or an API key may do in a tenant. */
export type Role = 'owner' | 'editor' | 'reader' | 'auditor';
/** What a user may do on the appliance as a whole. */
export type ApplianceRole = 'admin' | 'operator';

export interface Membership {
  tenant_id: string;
  tenant_name: string;
  role: Role;
}

export interface SignedInUser {
  id: string;
  name: string;
  appliance_role: ApplianceRole | null;
  totp_enabled: boolean;
}

export interface Actor {
  actor: 'user' | 'api_key' | 'console';
  user?: SignedInUser | null;
  name?: string | null;
  csrf?: string | null;
  memberships: Membership[];
}

export interface Credentials {
  name: string;
  password: string;
  totp?: string;
}

export interface Setup {
  purpose: 'first_admin' | 'reset';
  name?: string | null;
}

export interface TotpOffer {
  secret: string;
  uri: string;
  qr_svg: string;
}

export interface OwnSession {
  id: string;
  created_at: string;
  last_seen_at: string;
  expires_at: string;
  address: string;
  agent: string;
  current: boolean;
}

export interface User {
  id: string;
  name: string;
  appliance_role: ApplianceRole | null;
  disabled: boolean;
  /** False until a one-time link was used. */
  has_password: boolean;
  totp_enabled: boolean;
  created_at: string;
  last_sign_in_at: string | null;
}

export interface OneTimeLink {
  link: string;
  expires_at: string;
}

export interface Seal {
  sealed: boolean;
  source: 'file' | 'passphrase' | 'credential';
  /** Why it is sealed, where nobody asked for it. */
  detail?: string | null;
}

export interface Certificate {
  subject: string;
  issuer: string;
  names: string[];
  not_before: string;
  not_after: string;
  fingerprint_sha256: string;
}

/** The server's certificate, for administrators. */
export interface Tls {
  on: boolean;
  origin: string;
  names: string[];
  source: 'cairn' | 'imported' | 'configured' | null;
  certificate: Certificate | null;
  authority: Certificate | null;
  warnings: string[];
}

export interface Status {
  /** What people call this appliance. */
  name?: string | null;
  version: string;
  started_at: string;
  home_free_bytes: number;
  model: {
    state: 'ready' | 'missing' | 'failed';
    detail?: string | null;
    id?: string | null;
    language?: string | null;
    dimension?: number | null;
    runtime_version?: string | null;
  };
  notices: string[];
}

export type TenantState = 'active' | 'suspended' | 'locked';
export type StateAction = 'lock' | 'unlock' | 'suspend' | 'resume';

export interface Tenant {
  id: string;
  name: string;
  created_at: string;
  tier: string;
  state: TenantState;
  /** True while its keys may not be used: it is locked, or suspended and locked besides. */
  locked?: boolean;
  /** Files in the inbox folder that nobody can take in while the tenant is locked. */
  inbox_waiting?: number | null;
}

export interface TenantChange {
  name?: string;
  tier?: string;
  /** All limits the tenant is to have of its own; what is left out follows the tier. */
  limits?: Partial<Limits>;
}

/** `null` is no limit. */
export interface Limits {
  stored_bytes: number | null;
  documents: number | null;
  jobs_in_flight: number | null;
  ingest_share: number | null;
  requests_per_second: number | null;
  concurrent_queries: number | null;
  upload_bytes: number | null;
}

export type LimitName = keyof Limits;

export interface Tier {
  name: string;
  limits: Limits;
  features: string[];
}

export interface Usage {
  tier: string;
  limits: Limits;
  own_limits: Partial<Limits>;
  features: string[];
  /** Nothing while the tenant is locked and its numbers are not known. */
  used: Partial<Limits>;
  /** Sentences about limits that are nearly or fully reached. */
  warnings: string[];
}

export interface Member {
  user_id: string;
  user_name: string;
  role: Role;
  /** `null` is all of them. */
  collections: string[] | null;
}

export interface Collection {
  id: string;
  name: string;
  documents?: number | null;
}

/** What the appliance certifies about a tenant it deleted; shown as it is. */
export interface DeletionCertificate extends Record<string, unknown> {
  tenant: string;
  name: string;
  deleted_at: string;
  /** All of it in words. */
  statement?: string;
}

export interface AuditEntry {
  sequence: number;
  at: string;
  actor: { kind: string; id: string | null; name: string | null };
  action: string;
  resource: { kind: string; id: string } | null;
  result: string;
  source: string | null;
  request_id: string | null;
  detail: unknown;
  previous: string;
  hash: string;
}

export interface AuditPage {
  entries: AuditEntry[];
  next_cursor: string | null;
}

export interface AuditQuery {
  action?: string;
  actor?: string;
  after?: string;
  before?: string;
  cursor?: string | null;
  limit?: number;
}

export interface AuditVerdict {
  ok: boolean;
  entries: number;
  first_bad: number | null;
  reason: string | null;
}

export interface LedgerTotals extends Record<ItemState, number> {
  received: number;
}

export interface Throughput {
  documents_per_s: number | null;
  chunks_per_s: number | null;
  chunks_waiting: number;
  eta_s: number | null;
}

export interface TenantDetail extends Tenant {
  totals: LedgerTotals;
  bytes: { blobs: number; catalogue: number; fulltext: number; vectors: number };
  inbox: string;
  vectors: { rows: number; index: 'exact' | 'ivf'; index_building: boolean };
}

export interface LedgerItem {
  id: string;
  parent: string | null;
  source: string;
  state: ItemState;
  reason: string | null;
  detail: string | null;
  document_id: string;
  revision: number;
  media_type: string | null;
  size_bytes: number;
  received_at: string;
}

export interface LedgerEvent extends LedgerTotals {
  throughput: Throughput;
}

export interface LedgerPage extends LedgerEvent, Page {
  items: LedgerItem[];
}

export interface Dates {
  file: string | null;
  content: string | null;
  event: string | null;
  ingest: string;
}

export interface DocumentSummary {
  id: string;
  source: string;
  title: string | null;
  media_type: string | null;
  size_bytes: number;
  language: string | null;
  state: ItemState;
  reason: string | null;
  detail: string | null;
  revision: number;
  dates: Dates;
}

export interface OutlineEntry {
  level: number;
  text: string;
  start: number;
}

export interface DocumentDetail extends DocumentSummary {
  authors: string[];
  metadata: Record<string, unknown>;
  also_at: string[];
  parent: string | null;
  children: number;
  chunks: number;
  text_length: number;
  page_starts: number[];
  outline: OutlineEntry[];
  has_fulltext: boolean;
  has_vectors: boolean;
  truncated_at: number | null;
  warnings: string[];
  /** How many tables are kept as data. */
  tables: number;
  date_mentions: DateMention[];
  thread: ThreadMail[];
}

/** A table of a document; offsets are Unicode scalar values. */
export interface DocumentTable {
  number: number;
  name: string | null;
  caption: string | null;
  page: number | null;
  start: number;
  end: number;
  header: string[];
  columns: number;
  rows: number;
  truncated: boolean;
}

export type TableCell =
  | null
  | boolean
  | number
  | string
  | { number: number; text: string }
  | { date: string; text?: string };

export interface TablePage extends DocumentTable {
  first_row: number;
  cells: TableCell[][];
  next_start: number | null;
}

/** One mail of a conversation, oldest first. */
export interface ThreadMail {
  document_id: string;
  source: string;
  title: string | null;
  from: string | null;
  date: string | null;
}

/** Days that the text mentions, both ends meant; offsets are Unicode scalar values. */
export interface DateMention {
  start: number;
  end: number;
  from: string;
  until: string;
  expression: string;
}

export interface UploadReceipt {
  document: { id: string; source: string; revision: number };
  item: LedgerItem;
  job: string | null;
  outcome: 'accepted' | 'duplicate' | 'unchanged';
}

/** Cells of a workbook, or of a file that is a table. */
export interface SheetCells {
  sheet?: string;
  /** As spreadsheet programs name it: `A5:D12`. */
  range: string;
}

export interface Passage {
  text: string;
  start: number;
  end: number;
  page: number | null;
  cells?: SheetCells;
  /** True where the text was read by OCR from a picture. */
  ocr?: boolean;
  /** How sure OCR is of the page, 0 to 100. */
  ocr_confidence?: number;
  /** Whose words they are. */
  voice?: Voice;
  heading: string | null;
  /** `[start, end)` in Unicode scalar values, relative to `text`. */
  highlights: [number, number][];
  score: number;
}

export interface ScoreParts {
  keyword: number | null;
  keyword_normalised: number | null;
  vector: number | null;
  vector_normalised: number | null;
}

/** A document with nearly the same text as a result. */
export interface SimilarResult {
  document_id: string;
  source: string;
  similarity: number;
}

export interface SearchResult {
  document_id: string;
  source: string;
  also_at: string[];
  also_similar: SimilarResult[];
  title: string;
  media_type: string;
  score: number;
  score_parts: ScoreParts;
  dates: Dates;
  has_vectors: boolean;
  passages: Passage[];
}

export interface SearchResponse {
  query: string;
  mode: SearchMode;
  results: SearchResult[];
  notices: string[];
  took_ms: number;
}

export interface Citation {
  document_id: string;
  source: string;
  title: string;
  text: string;
  start: number;
  end: number;
  page: number | null;
  cells?: SheetCells;
  /** True where the text was read by OCR from a picture. */
  ocr?: boolean;
  /** How sure OCR is of the page, 0 to 100. */
  ocr_confidence?: number;
  /** Whose words they are. */
  voice?: Voice;
  date: string;
  date_basis: DateBasis;
  score: number;
}

export interface Answer {
  question: string;
  found: boolean;
  answer: string;
  citations: Citation[];
  support: number;
  threshold: number;
  notices: string[];
  took_ms: number;
}

export interface ApiKey {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  last_used_at: string | null;
  /** Name of the user who made it; `null` for the console. */
  created_by: string | null;
  /** True while it opens nothing, since whoever made it is disabled or no owner of the tenant. */
  rests: boolean;
  expires_at: string | null;
}

export interface NewApiKey {
  id: string;
  name: string;
  key: string;
}

export type SourceState = 'running' | 'due' | 'paused' | 'idle' | 'waiting' | 'failed';
export type Deletions = 'remove' | 'keep';

export interface RunCounts {
  new: number;
  changed: number;
  moved: number;
  deleted: number;
  missing: number;
  unchanged: number;
  failed: number;
  skipped: number;
  hidden: number;
  unsettled: number;
}

export interface SourceRun extends RunCounts {
  started_at: string;
  ended_at: string;
  outcome: 'done' | 'partial' | 'waiting' | 'stopped' | 'failed';
  error: string | null;
  problems: { path: string; reason: string }[];
}

export interface DirectorySettings {
  kind: 'directory';
  path: string;
}

export interface ImapSettings {
  kind: 'imap';
  host: string;
  port: number | null;
  security: 'tls' | 'starttls' | 'plain';
  user: string;
  folders: string[];
  certificate: string | null;
}

export type SourceSettings = DirectorySettings | ImapSettings;

export type Source = SourceSettings & {
  id: string;
  name: string;
  collection: string;
  interval_seconds: number;
  deletions: Deletions;
  paused: boolean;
  state: SourceState;
  items: number;
  missing: number;
  running: RunCounts | null;
  last_run: SourceRun | null;
  next_run_at: string | null;
};

export type NewSource = SourceSettings & {
  name: string;
  collection?: string;
  password?: string;
  interval_seconds?: number;
  deletions?: Deletions;
};

export interface SourceChange {
  name?: string;
  path?: string;
  host?: string;
  port?: number | null;
  security?: ImapSettings['security'];
  user?: string;
  folders?: string[];
  certificate?: string | null;
  /** It is the same place under a new name. */
  same_place?: boolean;
  password?: string;
  interval_seconds?: number;
  deletions?: Deletions;
  paused?: boolean;
}
