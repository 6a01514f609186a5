// Live ledger of one tenant: server-sent events, and polling where they do not come through.
import { api } from './api.ts';
import { tenantUrl } from './http.ts';
import type { LedgerEvent, LedgerItem, LedgerTotals, Source, Throughput } from './types.ts';

const POLL_BUSY_MS = 1_500;
const POLL_IDLE_MS = 10_000;
const RECONNECT_MS = 30_000;

/** Work since the tenant last stood still. */
export interface Batch {
  done: number;
  total: number;
}

class LiveLedger {
  totals = $state.raw<LedgerTotals | null>(null);
  throughput = $state.raw<Throughput | null>(null);
  batch = $state.raw<Batch | null>(null);
  #tenant: string | null = null;
  #stream: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reconnectAt = 0;
  #settledBefore: number | null = null;
  #listeners = new Set<(item: LedgerItem) => void>();
  #sourceListeners = new Set<(source: Source) => void>();

  constructor() {
    // A browser opens six connections to a host at most; tabs nobody looks at must not hold
    // them all with streams.
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#close();
      else if (this.#tenant) this.#open();
    });
  }

  /** Follows `tenant` until another one or nothing is followed. */
  follow(tenant: string | null): void {
    if (tenant === this.#tenant) return;
    this.#close();
    this.#tenant = tenant;
    this.totals = null;
    this.throughput = null;
    this.batch = null;
    this.#settledBefore = null;
    if (tenant && !document.hidden) this.#open();
  }

  /** Calls `listener` for each item that changes state; returns the way to stop. */
  onItem(listener: (item: LedgerItem) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `listener` for each source that changes or ends a run; returns the way to stop. */
  onSource(listener: (source: Source) => void): () => void {
    this.#sourceListeners.add(listener);
    return () => this.#sourceListeners.delete(listener);
  }

  /** Takes in numbers that another call brought along. */
  take({ throughput, ...totals }: LedgerEvent): void {
    this.totals = totals;
    this.throughput = throughput;
    const settled = totals.received - totals.waiting;
    if (totals.waiting === 0) {
      this.#settledBefore = null;
      if (this.batch) this.batch = { done: this.batch.total, total: this.batch.total };
      return;
    }
    this.#settledBefore ??= settled;
    this.batch = { done: Math.max(0, settled - this.#settledBefore), total: totals.received - this.#settledBefore };
  }

  #open(): void {
    if (!this.#tenant) return;
    this.#close();
    const stream = new EventSource(tenantUrl(this.#tenant, '/events'));
    this.#stream = stream;
    stream.addEventListener('open', () => clearTimeout(this.#timer));
    stream.addEventListener('ledger', (event) => this.take(JSON.parse(event.data) as LedgerEvent));
    stream.addEventListener('item', (event) => {
      const item = JSON.parse(event.data) as LedgerItem;
      for (const listener of this.#listeners) listener(item);
    });
    stream.addEventListener('source', (event) => {
      const source = JSON.parse(event.data) as Source;
      for (const listener of this.#sourceListeners) listener(source);
    });
    stream.addEventListener('error', () => {
      // The browser retries a broken stream by itself, but gives up on a refused one.
      if (stream.readyState === EventSource.CLOSED) this.#reconnectAt = Date.now() + RECONNECT_MS;
      this.#pollSoon(POLL_BUSY_MS);
    });
  }

  #close(): void {
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#timer);
  }

  #pollSoon(delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), delay);
  }

  async #poll(): Promise<void> {
    const tenant = this.#tenant;
    if (!tenant || this.#stream?.readyState === EventSource.OPEN) return;
    if (this.#stream?.readyState === EventSource.CLOSED && Date.now() > this.#reconnectAt) {
      this.#open();
      return;
    }
    try {
      const page = await api.ledger(tenant, { limit: 1 });
      if (tenant !== this.#tenant) return;
      const { items: _items, next_cursor: _cursor, ...numbers } = page;
      this.take(numbers);
    } catch {
      // The transport told whom it concerns; the next round tries again.
    }
    this.#pollSoon(this.totals?.waiting ? POLL_BUSY_MS : POLL_IDLE_MS);
  }
}

export const live = new LiveLedger();
