// Who is signed in, which tenants there are, and what the appliance has to say.
import { api, ApiError, asApiError, onSignedOut } from './api.ts';
import type { Actor, Status, Tenant } from './types.ts';

const STATUS_EVERY_MS = 60_000;

class Session {
  state = $state<'unknown' | 'in' | 'out'>('unknown');
  actor = $state.raw<Actor | null>(null);
  error = $state.raw<ApiError | null>(null);
  tenants = $state.raw<Tenant[]>([]);
  tenantsLoaded = $state(false);
  status = $state.raw<Status | null>(null);

  constructor() {
    onSignedOut(() => {
      this.state = 'out';
      this.actor = null;
    });
  }

  /** Finds out whether this browser holds a session. */
  async check(): Promise<void> {
    await this.#enter(() => api.session());
  }

  /** Exchanges a one-time link for a session. */
  async open(token: string): Promise<void> {
    this.state = 'unknown';
    await this.#enter(() => api.openSession(token));
  }

  async end(): Promise<void> {
    try {
      await api.endSession();
    } finally {
      this.state = 'out';
      this.actor = null;
    }
  }

  async loadTenants(): Promise<void> {
    const found: Tenant[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof api.tenants>> = await api.tenants(cursor);
      found.push(...page.tenants);
      cursor = page.next_cursor;
    } while (cursor);
    this.tenants = found.sort((a, b) => a.name.localeCompare(b.name));
    this.tenantsLoaded = true;
  }

  /** The tenant an address names by id or by name. */
  find(tenant: string): Tenant | undefined {
    return this.tenants.find(({ id, name }) => id === tenant || name === tenant);
  }

  /** Keeps the status fresh while somebody is signed in; returns the way to stop. */
  followStatus(): () => void {
    const load = () =>
      api.status().then(
        (status) => (this.status = status),
        () => undefined,
      );
    void load();
    const timer = setInterval(() => void load(), STATUS_EVERY_MS);
    return () => clearInterval(timer);
  }

  async #enter(ask: () => Promise<Actor>): Promise<void> {
    this.error = null;
    try {
      this.actor = await ask();
      this.state = 'in';
      await this.loadTenants();
    } catch (caught) {
      const error = asApiError(caught);
      if (error.status !== 401 || error.code !== 'unauthenticated') this.error = error;
      if (this.actor === null) this.state = 'out';
    }
  }
}

export const session = new Session();
