// One file on its way into a tenant: in one request where it is small, in parts that survive a lost
// connection where it is not.
import { api } from './api.ts';
import { exchange, stopped, wait } from './exchange.ts';
import { noteError, proofFor, tenantUrl } from './http.ts';
import { Pace } from './pace.ts';
import { ApiError, readProblem, unreachable } from './problem.ts';
import { giveUp, sendInParts, type Finished } from './tus.ts';
import type { ItemState, UploadReceipt } from './types.ts';
import { unfinished, type Marks } from './unfinished.ts';

/** Files larger than this go in parts. */
const IN_PARTS_BYTES = 8 * 2 ** 20;

/** Uploads that something on this page sends to: the same file, added twice, goes its own way. */
const underWay = new Set<string>();

/** What became of a file on the server. */
export type Receipt = Finished;

export class Upload {
  sent = $state(0);
  error = $state.raw<ApiError | null>(null);
  receipt = $state.raw<Receipt | null>(null);
  /** What became of it after it arrived, as far as this page has heard. */
  itemState = $state<ItemState | null>(null);
  paused = $state(false);
  /** When the next attempt is made, where the connection is lost. */
  retryAt = $state<number | null>(null);
  /** Bytes in a second, and seconds left at that pace. */
  rate = $state<number | null>(null);
  left = $state<number | null>(null);
  #pace = new Pace();
  #stopping = new AbortController();
  /** The upload on the server that it goes to. */
  #id: string | null = null;
  #ended = false;
  #resume: (() => void) | null = null;

  constructor(
    readonly tenant: string,
    readonly source: string,
    readonly file: File | null,
    /** Name of the collection it goes to; empty for the usual one. */
    readonly collection = '',
  ) {}

  get size(): number {
    return this.file?.size ?? 0;
  }

  /** True where it can be paused and goes on where it was. */
  get resumable(): boolean {
    return this.size > IN_PARTS_BYTES;
  }

  async send(): Promise<Receipt> {
    const file = this.file;
    if (!file) throw gone();
    this.sent = 0;
    this.error = null;
    this.paused = this.#ended = false;
    this.#pace.reset();
    this.#stopping = new AbortController();
    const receipt = this.resumable ? await this.#sendInParts(file) : await this.#sendWhole(file);
    this.sent = file.size;
    this.receipt = receipt;
    return receipt;
  }

  /** Lets it rest; what is on the server stays there. */
  pause(): void {
    if (!this.resumable || this.paused) return;
    this.paused = true;
    this.retryAt = this.rate = this.left = null;
    this.#stopping.abort();
  }

  resume(): void {
    this.paused = false;
    this.#resume?.();
  }

  /** Sends nothing more; the same file, added again, goes on where this was. */
  stop(): void {
    this.paused = false;
    this.#ended = true;
    this.#stopping.abort();
    this.#resume?.();
  }

  /** Gives it up here and on the server. */
  cancel(): void {
    const id = this.#id;
    this.stop();
    if (id === null) return;
    this.#remember(null);
    // What this does not reach the server removes by itself.
    void giveUp(this.#uploads, id, exchange, proofFor).catch(() => undefined);
  }

  /** Notes how fast it is; to be called now and then. */
  measure(now = Date.now()): void {
    if (this.paused) return;
    this.#pace.add(this.sent, now);
    this.rate = this.retryAt === null ? this.#pace.perSecond : null;
    this.left = this.retryAt === null ? this.#pace.secondsFor(this.size - this.sent) : null;
  }

  async #sendWhole(file: File): Promise<Receipt> {
    const answer = await exchange({
      method: 'POST',
      url: tenantUrl(this.tenant, '/documents', {
        source: this.source,
        collection: this.collection,
        file_date: new Date(file.lastModified).toISOString(),
      }),
      headers: {
        accept: 'application/json',
        'content-type': file.type || 'application/octet-stream',
        ...proofFor('POST'),
      },
      body: file,
      signal: this.#stopping.signal,
      progress: (sent) => (this.sent = sent),
    });
    if (answer.status === 0) {
      await checkFile(file);
      throw unreachable();
    }
    if (answer.status >= 400) throw readProblem(answer.status, answer.text, answer.header('retry-after'));
    const { document, item, outcome } = JSON.parse(answer.text) as UploadReceipt;
    this.itemState = item.state;
    return { document: document.id, item: item.id, outcome };
  }

  async #sendInParts(file: File): Promise<Receipt> {
    for (;;) {
      try {
        const finished = await this.#attempt(file);
        // It may have been read already while its parts were put together.
        const found = await api.document(this.tenant, finished.document).catch(() => null);
        this.itemState = found?.state ?? 'waiting';
        return finished;
      } catch (error) {
        if (!this.paused) throw error;
        await new Promise<void>((resolve) => (this.#resume = resolve));
        this.#resume = null;
        if (this.#ended) throw stopped();
        this.#pace.reset();
        this.#stopping = new AbortController();
      }
    }
  }

  async #attempt(file: File): Promise<Finished> {
    const marks = this.#marks(file);
    const known = this.#id ?? unfinished.of(marks);
    this.#id = known !== null && (known === this.#id || !underWay.has(known)) ? known : null;
    if (this.#id) underWay.add(this.#id);
    try {
      return await sendInParts(
        {
          uploads: this.#uploads,
          file,
          metadata: {
            source: this.source,
            filetype: file.type,
            collection: this.collection,
            file_date: new Date(file.lastModified).toISOString(),
          },
          known: this.#id,
          exchange,
          proof: proofFor,
          wait,
          checkFile: () => checkFile(file),
          sent: (bytes, known) => {
            if (known) this.#pace.reset();
            this.sent = bytes;
          },
          lost: (pause) => {
            this.retryAt = pause === null ? null : Date.now() + pause;
            this.#pace.reset();
          },
          remember: (id) => this.#remember(id),
          heed: noteError,
        },
        this.#stopping.signal,
      );
    } finally {
      this.retryAt = null;
      if (this.#id) underWay.delete(this.#id);
    }
  }

  #remember(id: string | null): void {
    if (this.#id) underWay.delete(this.#id);
    if (id) underWay.add(id);
    this.#id = id;
    if (this.file) unfinished.note(this.#marks(this.file), id);
  }

  #marks({ size, lastModified }: File): Marks {
    return { tenant: this.tenant, collection: this.collection, source: this.source, size, lastModified };
  }

  get #uploads(): string {
    return tenantUrl(this.tenant, '/uploads');
  }
}

// A browser reports a file that vanished or changed under it just like a broken connection.
async function checkFile(file: File): Promise<void> {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    throw gone();
  }
}

export function gone(): ApiError {
  return new ApiError(
    0,
    'unreadable_file',
    'The file cannot be read',
    'It was moved, changed or deleted, or you may not read it.',
    'Look where it is now and add it again.',
  );
}
