// The hash router: reads `location.hash` into a route and builds the addresses of routes.

export type View = 'home' | 'search' | 'ask';

export type Route =
  | { page: 'home' | 'tenants' | 'api' | 'unknown' }
  | { page: 'link'; token: string }
  | { page: 'tenant'; tenant: string; view: View }
  | { page: 'document'; tenant: string; id: string }
  | { page: 'ledger'; tenant: string };

export function parseRoute(hash: string): { route: Route; query: URLSearchParams } {
  const [path = '', search = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  return { route: match(path.split('/').filter(Boolean).map(decode)), query: new URLSearchParams(search) };
}

function match(parts: string[]): Route {
  const [first, second, third, fourth] = parts;
  if (first === undefined) return { page: 'home' };
  if (parts.length === 1 && (first === 'tenants' || first === 'api')) return { page: first };
  if (first === 'link' && second && parts.length === 2) return { page: 'link', token: second };
  if (first === 't' && second) {
    if (third === undefined) return { page: 'tenant', tenant: second, view: 'home' };
    if (third === 'd' && fourth && parts.length === 4) return { page: 'document', tenant: second, id: fourth };
    if (parts.length === 3) {
      if (third === 'search' || third === 'ask') return { page: 'tenant', tenant: second, view: third };
      if (third === 'ledger') return { page: 'ledger', tenant: second };
    }
  }
  return { page: 'unknown' };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

class Router {
  #now = $state.raw(parseRoute(location.hash));
  /** The address before this one, as far as this page has seen it. */
  previous = $state.raw<string | null>(null);

  constructor() {
    addEventListener('hashchange', (event) => {
      this.previous = new URL(event.oldURL).hash;
      this.#now = parseRoute(location.hash);
    });
  }

  get route(): Route {
    return this.#now.route;
  }

  get query(): URLSearchParams {
    return this.#now.query;
  }

  /** The tenant the page is about, if it is about one. */
  get tenant(): string | null {
    return 'tenant' in this.#now.route ? this.#now.route.tenant : null;
  }

  go(address: string): void {
    location.hash = address;
  }

  /** Changes the address without leaving the old one behind in the history. */
  replace(address: string): void {
    history.replaceState(null, '', address);
    this.#now = parseRoute(location.hash);
  }
}

export const router = new Router();

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
  tenant: (tenant: string) => address(['t', tenant]),
  search: (tenant: string, query: Query) => address(['t', tenant, 'search'], query),
  ask: (tenant: string, q: string) => address(['t', tenant, 'ask'], { q }),
  ledger: (tenant: string, state?: string | null) => address(['t', tenant, 'ledger'], { state }),
  document: (tenant: string, id: string, range?: { start: number; end: number }) =>
    address(['t', tenant, 'd', id], { start: range?.start, end: range?.end }),
};
