// Typed client of the HTTP contract. Every call resolves to its data or rejects with ApiError.
import { ApiError, readProblem, unreachable } from './problem.ts';
import type * as T from './types.ts';

export { ApiError, asApiError } from './problem.ts';

/** Relative, so that the page also works behind a proxy that puts it under a path. */
export const API = 'api/v1';

let whenSignedOut = () => {};

/** Registers what happens when any call finds that there is no session. */
export function onSignedOut(action: () => void): void {
  whenSignedOut = action;
}

/** Tells the registered listener when `error` says that the session is gone. */
export function noteError(error: ApiError): void {
  if (error.status === 401) whenSignedOut();
}

type Query = Record<string, string | number | null | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
}

export function tenantUrl(tenant: string, rest = '', query: Query = {}): string {
  return `${API}/tenants/${encodeURIComponent(tenant)}${rest}${encodeQuery(query)}`;
}

function encodeQuery(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}

async function send(method: string, url: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json, text/plain' };
  if (options.body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url + encodeQuery(options.query ?? {}), {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw unreachable();
  }
  if (response.ok) return response;
  const problem = readProblem(response.status, await response.text().catch(() => ''));
  noteError(problem);
  throw problem;
}

async function json<Data>(method: string, url: string, options?: Options): Promise<Data> {
  const response = await send(method, url, options);
  return (response.status === 204 ? undefined : await response.json()) as Data;
}

/** True for the rejection of a call that was aborted because nobody waits for it any more. */
export function aborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export interface SearchQuery {
  q: string;
  mode?: T.SearchMode;
  limit?: number;
  source?: string;
  type?: string;
  after?: string;
  before?: string;
}

const document = (tenant: string, id: string, rest = '') =>
  tenantUrl(tenant, `/documents/${encodeURIComponent(id)}${rest}`);

export const api = {
  openSession: (link_token: string) => json<T.Actor>('POST', `${API}/session`, { body: { link_token } }),
  session: () => json<T.Actor>('GET', `${API}/session`),
  endSession: () => json<void>('DELETE', `${API}/session`),
  status: () => json<T.Status>('GET', `${API}/status`),

  tenants: (cursor?: string | null) =>
    json<{ tenants: T.Tenant[] } & T.Page>('GET', `${API}/tenants`, { query: { cursor, limit: 100 } }),
  createTenant: (name: string) => json<T.Tenant>('POST', `${API}/tenants`, { body: { name } }),
  tenant: (tenant: string) => json<T.TenantDetail>('GET', tenantUrl(tenant)),

  documents: (tenant: string, query: { cursor?: string | null; limit?: number; q?: string }, signal?: AbortSignal) =>
    json<{ documents: T.DocumentSummary[] } & T.Page>('GET', tenantUrl(tenant, '/documents'), { query, signal }),
  document: (tenant: string, id: string) => json<T.DocumentDetail>('GET', document(tenant, id)),
  contentUrl: (tenant: string, id: string) => document(tenant, id, '/content'),
  removeDocument: (tenant: string, id: string) => json<{ deleted: number }>('DELETE', document(tenant, id)),
  retryDocument: (tenant: string, id: string) => json<{ retried: number }>('POST', document(tenant, id, '/retry')),
  retryState: (tenant: string, state: T.ItemState) =>
    json<{ retried: number }>('POST', tenantUrl(tenant, '/retry'), { body: { state } }),

  /** One window of a document's text; `total` is the length of the whole, in scalar values. */
  text: async (tenant: string, id: string, start: number, end: number, signal?: AbortSignal) => {
    const response = await send('GET', document(tenant, id, '/text'), { query: { start, end }, signal });
    const total = Number(response.headers.get('x-text-length'));
    return { text: await response.text(), total };
  },

  ledger: (tenant: string, query: { state?: string; cursor?: string | null; limit?: number }, signal?: AbortSignal) =>
    json<T.LedgerPage>('GET', tenantUrl(tenant, '/ledger'), { query: { order: 'newest', ...query }, signal }),
  search: (tenant: string, query: SearchQuery, signal?: AbortSignal) =>
    json<T.SearchResponse>('GET', tenantUrl(tenant, '/search'), { query: { ...query }, signal }),
  ask: (tenant: string, question: string, signal?: AbortSignal) =>
    json<T.Answer>('POST', tenantUrl(tenant, '/ask'), { body: { question }, signal }),

  keys: (tenant: string) => json<{ keys: T.ApiKey[] }>('GET', tenantUrl(tenant, '/keys')),
  createKey: (tenant: string, name: string) =>
    json<T.NewApiKey>('POST', tenantUrl(tenant, '/keys'), { body: { name } }),
  revokeKey: (tenant: string, id: string) =>
    json<void>('DELETE', tenantUrl(tenant, `/keys/${encodeURIComponent(id)}`)),
};
