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
export type SearchMode = 'hybrid' | 'keyword' | 'vector';

export interface Page {
  next_cursor: string | null;
}

export interface Actor {
  actor: 'admin' | 'operator' | 'api_key';
  name?: string | null;
}

export interface Status {
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

export interface Tenant {
  id: string;
  name: string;
  created_at: string;
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
}

export interface UploadReceipt {
  document: { id: string; source: string; revision: number };
  item: LedgerItem;
  job: string | null;
  outcome: 'accepted' | 'duplicate' | 'unchanged';
}

export interface Passage {
  text: string;
  start: number;
  end: number;
  page: number | null;
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

export interface SearchResult {
  document_id: string;
  source: string;
  also_at: string[];
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
  created_at: string;
  last_used_at: string | null;
}

export interface NewApiKey {
  id: string;
  name: string;
  key: string;
}
