// Audit entries as the page shows and filters them.
import type { AuditEntry, AuditQuery } from './types.ts';

export interface AuditFilter {
  /** All actions of this kind: the part before the dot. */
  kind: string;
  /** Name or id of who did it. */
  actor: string;
  /** Days, both included. */
  from: string;
  until: string;
  /** Looked for on this page, among the entries that are loaded. */
  result: string;
}

export const NO_FILTER: AuditFilter = { kind: '', actor: '', from: '', until: '', result: '' };

const IN_TENANTS = ['document', 'search', 'ask', 'index', 'key', 'member', 'collection', 'tenant', 'audit'];
const ON_THE_APPLIANCE = ['session', 'user', 'member', 'tenant', 'appliance', 'console', 'audit'];

/** Kinds of actions that a chain may hold. */
export const kindsOf = (tenant: string | null): readonly string[] => (tenant === null ? ON_THE_APPLIANCE : IN_TENANTS);

export const RESULTS = ['ok', 'refused', 'failed'] as const;

/** What the appliance filters by; the moments are those of the reader's own days. */
export function queryOf(filter: AuditFilter): AuditQuery {
  const query: AuditQuery = {};
  if (filter.kind) query.action = filter.kind;
  if (filter.actor.trim()) query.actor = filter.actor.trim();
  if (filter.from) query.after = startOf(filter.from, 0);
  if (filter.until) query.before = startOf(filter.until, 1);
  return query;
}

function startOf(day: string, later: number): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  return new Date(year, month - 1, date + later).toISOString();
}

const KINDS: Record<string, string> = { api_key: 'API key', console: 'Console', system: 'Cairn', anonymous: 'Nobody signed in' };

/** `ann`, `API key scanner`, `Console`. */
export function actorText({ kind, name, id }: AuditEntry['actor']): string {
  const who = name ?? id;
  if (kind === 'user') return who ?? 'User';
  const what = KINDS[kind] ?? kind;
  return who ? `${what} ${who}` : what;
}

export const resourceText = (resource: AuditEntry['resource']): string =>
  resource ? `${resource.kind.replaceAll('_', ' ')} ${resource.id}` : '';

/** True for an entry with something to show beyond its row. */
export function hasDetail(detail: unknown): boolean {
  return typeof detail === 'object' && detail !== null ? Object.keys(detail).length > 0 : detail != null && detail !== '';
}

/** The values of a document with the way to each, in reading order. */
export function facts(document: unknown, way = ''): { name: string; value: string }[] {
  if (Array.isArray(document)) {
    if (document.every((item) => typeof item !== 'object' || item === null)) {
      return document.length > 0 ? [{ name: way, value: document.map(String).join(', ') }] : [];
    }
    return document.flatMap((item, index) => facts(item, `${way} ${index + 1}`.trim()));
  }
  if (typeof document === 'object' && document !== null) {
    return Object.entries(document).flatMap(([key, value]) => facts(value, `${way} ${key.replaceAll('_', ' ')}`.trim()));
  }
  return document === null || document === undefined ? [] : [{ name: way, value: String(document) }];
}
