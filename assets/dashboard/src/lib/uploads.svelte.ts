// The queue of uploads: three at a time, progress over all, failures kept for another try.
// It lives outside the components, so that moving about in the page does not stop it.
import { api } from './api.ts';
import { noteError } from './http.ts';
import type { Found } from './dropped.ts';
import { Pace } from './pace.ts';
import { asApiError, type ApiError } from './problem.ts';
import { gone, Upload } from './upload.svelte.ts';

const PARALLEL = 3;
const RECENT = 5;
/** Seconds between two looks whether the appliance answers again. */
const AGAIN_S = 10;
// What a request costs beside its bytes, expressed in bytes: without it a thousand tiny files
// would look finished long before they are.
const COST_PER_FILE = 8_192;

const costOf = (upload: Upload): number => upload.size + COST_PER_FILE;

class UploadQueue {
  active = $state.raw<Upload[]>([]);
  failed = $state.raw<Upload[]>([]);
  recent = $state.raw<Upload[]>([]);
  total = $state(0);
  done = $state(0);
  known = $state(0);
  totalBytes = $state(0);
  /** Why nothing is sent although files wait, such as a full disk. */
  paused = $state.raw<ApiError | null>(null);
  eta = $state<number | null>(null);
  #waiting: Upload[] = [];
  #next = 0;
  #totalCost = $state(0);
  #doneCost = $state(0);
  #pace = new Pace();
  #timer: ReturnType<typeof setInterval> | undefined;
  #resumption: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener('beforeunload', (event) => {
      // What rests goes on when the same file is added again.
      if (this.busy && !this.resting) event.preventDefault();
    });
  }

  get busy(): boolean {
    return this.active.length > 0 || (this.paused === null && this.done + this.failed.length < this.total);
  }

  /** True while everything that is under way rests, because somebody paused it. */
  get resting(): boolean {
    return this.active.length > 0 && this.active.every((upload) => upload.paused);
  }

  get visible(): boolean {
    return this.total > 0;
  }

  /** Share of the work that is done, 0 to 1. */
  get progress(): number {
    if (this.#totalCost === 0) return 0;
    return Math.min(1, this.#costSent() / this.#totalCost);
  }

  /** Starts counting anew, unless something is under way or waits for the reader. */
  begin(): void {
    if (!this.busy && this.paused === null && this.failed.length === 0) this.clear();
  }

  add(tenant: string, files: readonly Found[], collection = ''): void {
    this.#enqueue(files.map(({ file, source }) => new Upload(tenant, source, file, collection)));
  }

  /** Lists a path that could not even be opened. */
  addUnreadable(tenant: string, source: string): void {
    const upload = new Upload(tenant, source, null);
    upload.error = gone();
    this.failed = [...this.failed, upload];
    this.total += 1;
  }

  retry(upload: Upload): void {
    this.failed = this.failed.filter((other) => other !== upload);
    this.total -= 1;
    this.#enqueue([upload]);
  }

  retryAll(): void {
    const again = this.failed.filter((upload) => upload.file);
    this.failed = this.failed.filter((upload) => !upload.file);
    this.total -= again.length;
    this.#enqueue(again);
  }

  resume(): void {
    clearTimeout(this.#resumption);
    this.paused = null;
    this.#pace.reset();
    this.#pump();
  }

  /** Sends nothing more. What is on the server already stays there for the same file to go on. */
  stop(): void {
    const active = this.active;
    this.clear();
    for (const upload of active) upload.stop();
  }

  /** Gives up what waits and what is under way, on the server too. */
  giveUp(): void {
    const unfinished = [...this.active, ...this.#waiting.slice(this.#next)];
    this.clear();
    for (const upload of unfinished) upload.cancel();
  }

  /** Lets one upload rest; another takes its place meanwhile. */
  pause(upload: Upload): void {
    upload.pause();
    this.#pace.reset();
    this.#pump();
  }

  resumeOne(upload: Upload): void {
    this.#pace.reset();
    upload.resume();
  }

  /** Gives one upload up, on the server too. */
  cancel(upload: Upload): void {
    this.active = this.active.filter((other) => other !== upload);
    this.total -= 1;
    this.totalBytes -= upload.size;
    this.#totalCost -= costOf(upload);
    this.#pace.reset();
    upload.cancel();
    this.#pump();
  }

  clear(): void {
    this.active = [];
    this.failed = [];
    this.recent = [];
    this.total = this.done = this.known = this.totalBytes = 0;
    this.#totalCost = this.#doneCost = 0;
    this.#waiting = [];
    this.#next = 0;
    this.#pace.reset();
    this.paused = null;
    clearTimeout(this.#resumption);
    this.eta = null;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #enqueue(uploads: Upload[]): void {
    this.#waiting.push(...uploads);
    this.total += uploads.length;
    for (const upload of uploads) {
      this.totalBytes += upload.size;
      this.#totalCost += costOf(upload);
    }
    this.#timer ??= setInterval(() => this.#measure(), 500);
    this.#pump();
  }

  #pump(): void {
    const sending = () => this.active.filter((upload) => !upload.paused).length;
    while (this.paused === null && sending() < PARALLEL && this.#next < this.#waiting.length) {
      const upload = this.#waiting[this.#next];
      this.#next += 1;
      if (!upload) break;
      this.active = [...this.active, upload];
      void this.#run(upload);
    }
    if (this.active.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.eta = null;
    }
  }

  async #run(upload: Upload): Promise<void> {
    try {
      const receipt = await upload.send();
      if (!this.active.includes(upload)) return;
      this.done += 1;
      if (receipt.outcome !== 'accepted') this.known += 1;
      this.#doneCost += costOf(upload);
      this.recent = [upload, ...this.recent].slice(0, RECENT);
    } catch (caught) {
      if (!this.active.includes(upload)) return;
      this.#fail(upload, asApiError(caught));
    }
    this.active = this.active.filter((other) => other !== upload);
    this.#pump();
  }

  #fail(upload: Upload, error: ApiError): void {
    upload.sent = 0;
    // When the appliance itself is in trouble every further file would meet the same end: wait.
    if (error.passing && error.code !== 'unreadable_file') {
      this.paused = error;
      this.#waiting.splice(this.#next, 0, upload);
      noteError(error);
      // Too fast for the tenant's limits, or no connection: it goes on by itself.
      if (error.status === 429) this.#later(error.retryAfter ?? 5, () => this.resume());
      else if (error.status === 0) this.#awaitConnection();
      return;
    }
    upload.error = error;
    this.failed = [...this.failed, upload];
    this.totalBytes -= upload.size;
    this.#totalCost -= costOf(upload);
  }

  #later(seconds: number, work: () => void): void {
    clearTimeout(this.#resumption);
    this.#resumption = setTimeout(work, seconds * 1000);
  }

  /** Goes on once the appliance answers again; until then nothing on the page moves. */
  #awaitConnection(): void {
    this.#later(AGAIN_S, () => {
      api.status().then(
        () => this.resume(),
        () => this.#awaitConnection(),
      );
    });
  }

  #costSent(): number {
    return this.active.reduce((sum, upload) => sum + Math.min(upload.sent, upload.size), this.#doneCost);
  }

  #measure(): void {
    const now = Date.now();
    for (const upload of this.active) upload.measure(now);
    const cost = this.#costSent();
    this.#pace.add(cost, now);
    this.eta = this.#pace.secondsFor(this.#totalCost - cost) ?? this.eta;
  }
}

export const uploads = new UploadQueue();
