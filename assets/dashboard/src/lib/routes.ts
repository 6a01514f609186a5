// What an address means, and the addresses of pages. Pure, so that it can be tested.
import type { SheetCells } from './types.ts';
import { cellsLabel } from './words.ts';

export type View = 'home' | 'search' | 'ask';

export const SECTIONS = ['overview', 'members', 'sources', 'keys', 'vault'] as const;
export type Section = (typeof SECTIONS)[number];

const PLAIN = ['tenants', 'api', 'account', 'users', 'appliance', 'audit', 'certificate'] as const;
type Plain = (typeof PLAIN)[number];

export type Route =
  | { page: 'home' | 'unknown' | Plain }
  | { page: 'setup'; token: string }
  | { page: 'tenant'; tenant: string; view: View }
  | { page: 'document'; tenant: string; id: string }
  | { page: 'ledger'; tenant: string }
  | { page: 'tenant-audit'; tenant: string }
  | { page: 'settings'; tenant: string; section: Section };

export function parseRoute(hash: string): { route: Route; query: URLSearchParams } {
  const [path = '', search = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  return { route: match(path.split('/').filter(Boolean).map(decode)), query: new URLSearchParams(search) };
}

function match(parts: string[]): Route {
  const [first, second] = parts;
  if (first === undefined) return { page: 'home' };
  const plain = PLAIN.find((page) => page === first);
  if (plain && parts.length === 1) return { page: plain };
  // Links of earlier versions say `link`.
  if ((first === 'setup' || first === 'link') && second && parts.length === 2) return { page: 'setup', token: second };
  if (first === 't' && second) return inTenant(second, parts.slice(2));
  return { page: 'unknown' };
}

function inTenant(tenant: string, [place, id, ...rest]: string[]): Route {
  if (place === undefined) return { page: 'tenant', tenant, view: 'home' };
  if (rest.length > 0) return { page: 'unknown' };
  if (place === 'd' && id) return { page: 'document', tenant, id };
  if (place === 'settings') {
    const section = SECTIONS.find((name) => name === (id ?? 'overview'));
    return section ? { page: 'settings', tenant, section } : { page: 'unknown' };
  }
  if (id !== undefined) return { page: 'unknown' };
  if (place === 'search' || place === 'ask') return { page: 'tenant', tenant, view: place };
  if (place === 'ledger') return { page: 'ledger', tenant };
  if (place === 'audit') return { page: 'tenant-audit', tenant };
  return { page: 'unknown' };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

type Query = Record<string, string | number | null | undefined>;

function address(parts: string[], query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== '');
  const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

export const to = {
  home: () => '#/',
  tenants: () => '#/tenants',
  api: () => '#/api',
  account: () => '#/account',
  users: () => '#/users',
  appliance: () => '#/appliance',
  audit: () => '#/audit',
  certificate: () => '#/certificate',
  tenant: (tenant: string) => address(['t', tenant]),
  search: (tenant: string, query: Query) => address(['t', tenant, 'search'], query),
  ask: (tenant: string, q: string) => address(['t', tenant, 'ask'], { q }),
  ledger: (tenant: string, state?: string | null) => address(['t', tenant, 'ledger'], { state }),
  tenantAudit: (tenant: string) => address(['t', tenant, 'audit']),
  settings: (tenant: string, section: Section = 'overview') =>
    address(section === 'overview' ? ['t', tenant, 'settings'] : ['t', tenant, 'settings', section]),
  document: (tenant: string, id: string, passage?: { start: number; end: number; cells?: SheetCells }) =>
    address(['t', tenant, 'd', id], {
      start: passage?.start,
      end: passage?.end,
      cells: passage?.cells && cellsLabel(passage.cells),
    }),
};
