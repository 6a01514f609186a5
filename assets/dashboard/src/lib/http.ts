// The transport under the typed clients: addresses, errors, and the proof that a change was
// asked for by this page and not by another one that rides on the session's cookie.
import { ApiError, readProblem, unreachable } from './problem.ts';

export { ApiError, asApiError } from './problem.ts';

/** Relative, so that the page also works behind a proxy that puts it under a path. */
export const API = 'api/v1';

export type Query = Record<string, string | number | null | undefined>;

export interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** For calls whose refusal says nothing about the session, such as that of a spent link. */
  apart?: boolean;
}

let csrf = '';
let heed: (error: ApiError) => void = () => {};

/** Keeps the token that the session gave for requests that change something. */
export function keepCsrf(token: string | null | undefined): void {
  csrf = token ?? '';
}

/** Headers a request with this method needs beside its own. */
export function proofFor(method: string): Record<string, string> {
  return csrf && method !== 'GET' ? { 'x-cairn-csrf': csrf } : {};
}

/** Registers who hears of every error, wherever it was met. */
export function onProblem(listener: (error: ApiError) => void): void {
  heed = listener;
}

/** Passes an error on that was met outside of `json`. */
export function noteError(error: ApiError): void {
  heed(error);
}

export function encodeQuery(query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}

/** `/users/` and the like with an id that may hold any character. */
export const part = (id: string): string => `/${encodeURIComponent(id)}`;

export function tenantUrl(tenant: string, rest = '', query: Query = {}): string {
  return `${API}/tenants${part(tenant)}${rest}${encodeQuery(query)}`;
}

export async function send(method: string, url: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json, text/plain', ...proofFor(method) };
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
  const text = await response.text().catch(() => '');
  const problem = readProblem(response.status, text, response.headers.get('retry-after'));
  if (!options.apart || problem.code === 'sealed') heed(problem);
  throw problem;
}

export async function json<Data>(method: string, url: string, options?: Options): Promise<Data> {
  const response = await send(method, url, options);
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as Data;
}

/** True for the rejection of a call that was aborted because nobody waits for it any more. */
export function aborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
