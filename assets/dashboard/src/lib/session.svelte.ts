// Who is signed in, which tenants there are, and what the appliance has to say.
import { accounts } from './accounts.ts';
import { api } from './api.ts';
import { ApiError, asApiError, keepCsrf, onProblem } from './http.ts';
import { applianceRights, rightsOn, type ApplianceRights, type Rights } from './rights.ts';
import { remember } from './storage.ts';
import { unfinished } from './unfinished.ts';
import { uploads } from './uploads.svelte.ts';
import { vaults } from './vaults.ts';
import type { Actor, Credentials, Seal, Status, Tenant } from './types.ts';

const STATUS_EVERY_MS = 60_000;
/** A closed tenant can be met by many calls at once; the list is read again once. */
const TENANTS_AT_MOST_EVERY_MS = 5_000;

class Session {
  state = $state<'unknown' | 'in' | 'out' | 'sealed'>('unknown');
  actor = $state.raw<Actor | null>(null);
  error = $state.raw<ApiError | null>(null);
  /** True where the appliance ended a session, so that the page can say so. */
  ended = $state(false);
  seal = $state.raw<Seal | null>(null);
  tenants = $state.raw<Tenant[]>([]);
  tenantsLoaded = $state(false);
  status = $state.raw<Status | null>(null);
  #lastUser: string | null = null;
  #tenantsReadAt = 0;

  constructor() {
    onProblem((error) => this.#heed(error));
  }

  /** Finds out whether the appliance is open and this browser holds a session. */
  async check(): Promise<void> {
    this.error = null;
    try {
      this.seal = await vaults.seal();
      if (this.seal.sealed) {
        this.#leave('sealed');
        return;
      }
      await this.#admit(accounts.session());
    } catch (caught) {
      const error = asApiError(caught);
      if (!error.signedOut && error.code !== 'sealed') this.error = error;
      if (this.state === 'unknown') this.state = 'out';
    }
  }

  /** Rejects where name, password or code are not accepted. */
  async signIn(credentials: Credentials): Promise<void> {
    await this.#admit(accounts.signIn(credentials));
  }

  /** Sets a password by a one-time link, and signs in with it. */
  async setUp(given: Parameters<typeof accounts.finishSetup>[0]): Promise<void> {
    await this.#admit(accounts.finishSetup(given));
  }

  /** Reads the session again, after something about the account changed. */
  async refresh(): Promise<void> {
    this.actor = await accounts.session();
    keepCsrf(this.actor.csrf);
  }

  async end(): Promise<void> {
    try {
      await accounts.signOut();
    } finally {
      this.forget();
    }
  }

  /** Signed out on purpose: nothing of this person stays behind in the browser. */
  forget(): void {
    uploads.stop();
    unfinished.forget();
    remember('cairn.tenant', null);
    this.#leave('out');
    this.ended = false;
    this.#lastUser = null;
  }

  async loadTenants(): Promise<void> {
    this.#tenantsReadAt = Date.now();
    const found: Tenant[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof vaults.tenants>> = await vaults.tenants(cursor);
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

  rights(tenant: string): Rights {
    return rightsOn(this.actor, this.find(tenant));
  }

  get appliance(): ApplianceRights {
    return applianceRights(this.actor);
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

  async #admit(asked: Promise<Actor>): Promise<void> {
    const actor = await asked;
    const user = actor.user?.id ?? actor.actor;
    // What one person left unfinished is not for the next one to see.
    if (this.#lastUser !== null && this.#lastUser !== user) uploads.stop();
    this.#lastUser = user;
    keepCsrf(actor.csrf);
    this.actor = actor;
    this.error = null;
    this.ended = false;
    this.tenantsLoaded = false;
    this.state = 'in';
    await this.loadTenants().catch((caught: unknown) => (this.error = asApiError(caught)));
  }

  #leave(state: 'out' | 'sealed'): void {
    this.ended = this.state === 'in';
    this.state = state;
    this.error = null;
    this.actor = null;
    this.tenants = [];
    this.tenantsLoaded = false;
    this.status = null;
    keepCsrf(null);
  }

  #heed(error: ApiError): void {
    if (error.code === 'sealed') {
      if (this.state === 'sealed') return;
      this.#leave('sealed');
      void vaults.seal().then(
        (seal) => (this.seal = seal),
        () => undefined,
      );
    } else if (error.signedOut) {
      if (this.state !== 'sealed') this.#leave('out');
    } else if (error.code === 'tenant_locked' || error.code === 'tenant_suspended') {
      const stale = Date.now() - this.#tenantsReadAt > TENANTS_AT_MOST_EVERY_MS;
      if (this.state === 'in' && stale) void this.loadTenants().catch(() => undefined);
    } else if (error.code.startsWith('csrf')) {
      // Somebody signed in anew in another tab; the next attempt carries the right proof.
      void this.refresh().catch(() => undefined);
    }
  }
}

export const session = new Session();
