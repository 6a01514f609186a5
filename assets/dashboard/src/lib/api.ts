// Typed client for what a tenant holds: documents, ledger, search, answers.
// Every call resolves to its data or rejects with ApiError.
import { API, json, part, send, tenantUrl } from './http.ts';
import type * as T from './types.ts';

export { aborted, ApiError, asApiError } from './http.ts';

export interface SearchQuery {
  q: string;
  mode?: T.SearchMode;
  limit?: number;
  source?: string;
  type?: string;
  after?: string;
  before?: string;
}

const document = (tenant: string, id: string, rest = '') => tenantUrl(tenant, `/documents${part(id)}${rest}`);

export const api = {
  status: () => json<T.Status>('GET', `${API}/status`),

  documents: (tenant: string, query: { cursor?: string | null; limit?: number; q?: string }, signal?: AbortSignal) =>
    json<{ documents: T.DocumentSummary[] } & T.Page>('GET', tenantUrl(tenant, '/documents'), { query, signal }),
  document: (tenant: string, id: string) => json<T.DocumentDetail>('GET', document(tenant, id)),
  tables: (tenant: string, id: string) =>
    json<{ tables: T.DocumentTable[] }>('GET', document(tenant, id, '/tables')),
  table: (tenant: string, id: string, number: number, start: number, limit: number) =>
    json<T.TablePage>('GET', document(tenant, id, `/tables/${number}`), { query: { start, limit } }),
  tableUrl: (tenant: string, id: string, number: number) => document(tenant, id, `/tables/${number}?format=csv`),
  contentUrl: (tenant: string, id: string) => document(tenant, id, '/content'),
  pageUrl: (tenant: string, id: string, page: number) => document(tenant, id, `/pages/${page}`),
  removeDocument: (tenant: string, id: string) => json<{ deleted: number }>('DELETE', document(tenant, id)),
  retryDocument: (tenant: string, id: string) => json<{ retried: number }>('POST', document(tenant, id, '/retry')),
  givePassword: (tenant: string, id: string, password: string) =>
    json<{ retried: number }>('POST', document(tenant, id, '/password'), { body: { password } }),
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
};
