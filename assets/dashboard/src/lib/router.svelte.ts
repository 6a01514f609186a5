// The hash router: keeps what `location.hash` means at the moment.
import { parseRoute, type Route } from './routes.ts';

export { to } from './routes.ts';
export type { View } from './routes.ts';

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
