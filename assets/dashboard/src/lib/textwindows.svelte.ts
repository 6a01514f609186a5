// The text of one document, held as a few neighbouring windows however long the document is.
import { aborted, api, asApiError, type ApiError } from './api.ts';

/** Scalar values per window: a few screens. */
const WINDOW = 12_000;
/** Windows kept at once; the far end is dropped when reading goes on. */
const KEPT = 8;

export interface TextWindow {
  index: number;
  start: number;
  text: string;
}

export class DocumentText {
  windows = $state.raw<TextWindow[]>([]);
  loading = $state(false);
  error = $state.raw<ApiError | null>(null);
  #abort = new AbortController();
  #failed: (() => Promise<void>) | null = null;

  constructor(
    readonly tenant: string,
    readonly id: string,
    readonly length: number,
  ) {}

  get start(): number {
    return this.windows[0]?.start ?? 0;
  }

  get end(): number {
    return Math.min(this.length, this.#indexAfter * WINDOW);
  }

  get hasEarlier(): boolean {
    return (this.windows[0]?.index ?? 0) > 0;
  }

  get hasLater(): boolean {
    return this.#indexAfter * WINDOW < this.length;
  }

  /** Shows the text around `offset`; what is already there stays when it covers the place. */
  async show(offset: number): Promise<void> {
    const index = Math.floor(Math.min(Math.max(0, offset), Math.max(0, this.length - 1)) / WINDOW);
    if (this.windows.some((window) => window.index === index)) return;
    this.#abort.abort();
    this.#abort = new AbortController();
    this.loading = false;
    await this.#load([index], () => []);
  }

  async earlier(): Promise<void> {
    const first = this.windows[0];
    if (!first || !this.hasEarlier || this.loading) return;
    await this.#load([first.index - 1], (kept) => kept.slice(0, KEPT - 1));
  }

  async later(): Promise<void> {
    if (!this.hasLater || this.loading) return;
    await this.#load([this.#indexAfter], (kept) => kept.slice(-(KEPT - 1)));
  }

  async again(): Promise<void> {
    await this.#failed?.();
  }

  close(): void {
    this.#abort.abort();
  }

  get #indexAfter(): number {
    return (this.windows.at(-1)?.index ?? -1) + 1;
  }

  async #load(indexes: number[], keep: (windows: TextWindow[]) => TextWindow[]): Promise<void> {
    const { signal } = this.#abort;
    this.loading = true;
    this.error = null;
    try {
      const loaded = await Promise.all(indexes.map((index) => this.#fetch(index, signal)));
      this.windows = [...keep(this.windows), ...loaded].sort((a, b) => a.index - b.index);
    } catch (caught) {
      if (aborted(caught)) return;
      this.error = asApiError(caught);
      this.#failed = () => this.#load(indexes, keep);
    }
    this.loading = false;
  }

  async #fetch(index: number, signal: AbortSignal): Promise<TextWindow> {
    const start = index * WINDOW;
    const end = Math.min(this.length, start + WINDOW);
    const { text } = await api.text(this.tenant, this.id, start, end, signal);
    return { index, start, text };
  }
}
