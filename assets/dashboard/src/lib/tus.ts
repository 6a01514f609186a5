// An upload in parts by the tus protocol 1.0.0, which goes on where it was when the connection is
// lost, the server starts again, or the page does.
import type { Answer, Exchange } from './exchange.ts';
import { ApiError, readProblem, unreachable } from './problem.ts';

/** Sent in one request; as much as the server makes durable at a time. */
export const PART_BYTES = 16 * 2 ** 20;

const VERSION = '1.0.0';
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** While the server puts the parts of a large file together. */
const LOOK_MS = 2_000;
/** Failures in a row that are the server's own, before somebody is asked. */
const MOST_FAILURES = 6;
/** Beginnings of one upload; it may have expired, but not again and again. */
const MOST_BEGINNINGS = 3;

/** A file as far as this needs it. */
export interface Sliced {
  size: number;
  slice: (start: number, end: number) => Blob;
}

export interface Finished {
  document: string;
  item: string;
  outcome: 'accepted' | 'duplicate' | 'unchanged';
}

export interface Parts {
  /** Address of the tenant's uploads. */
  uploads: string;
  file: Sliced;
  metadata: Record<string, string>;
  /** An upload of the same file that was begun before. */
  known: string | null;
  exchange: Exchange;
  /** What proves to the server that this page sends a request with this method. */
  proof: (method: string) => Record<string, string>;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** A file that vanished looks like a broken connection. */
  checkFile: () => Promise<void>;
  /** Bytes that the server has, or that are on their way. `known` where it had them before. */
  sent: (bytes: number, known: boolean) => void;
  /** The connection is lost: milliseconds until the next attempt; null once it is back. */
  lost: (pause: number | null) => void;
  /** The upload to go on with later; null where there is none any more. */
  remember: (id: string | null) => void;
  /** Hears of errors that say something about the session. */
  heed: (error: ApiError) => void;
}

/** How an upload stands. */
interface Standing {
  offset: number;
  finished: Finished | null;
}

/** Value of `Upload-Metadata`: words, each with its value in base 64. */
export function encodeMetadata(metadata: Record<string, string>): string {
  return Object.entries(metadata)
    .filter(([, value]) => value !== '')
    .map(([word, value]) => `${word} ${btoa(String.fromCharCode(...new TextEncoder().encode(value)))}`)
    .join(',');
}

/** Pause before an attempt, the longer the more of them failed in a row. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

/** True where the same request may well succeed in a moment; `failures` in a row were met. */
function mayPass(error: ApiError, failures: number): boolean {
  if (error.code === 'sealed' || error.code === 'unreadable_file') return false;
  if ([0, 429, 502, 503, 504].includes(error.status)) return true;
  // Another request writes to it, the session has a new token, or the server met a fault of its own.
  const odd = [408, 409, 423, 460, 500].includes(error.status) && error.code !== 'tenant_locked';
  return (odd || error.code.startsWith('csrf')) && failures < MOST_FAILURES;
}

/** Sends a file and resolves once it is a document. Rejects where somebody has to do something. */
export async function sendInParts(parts: Parts, signal: AbortSignal): Promise<Finished> {
  const client = new Client(parts, signal);
  let id = parts.known;
  let standing: Standing | null = null;
  let [failures, beginnings, furthest] = [0, 0, 0];
  for (;;) {
    try {
      if (id === null) {
        beginnings += 1;
        ({ id, standing } = await client.begin());
        parts.remember(id);
        parts.sent(standing.offset, true);
      } else if (standing === null) {
        standing = await client.look(id);
        if (standing) parts.sent(standing.offset, true);
      } else if (standing.offset < parts.file.size) {
        standing = await client.append(id, standing.offset);
      } else {
        await parts.wait(LOOK_MS, signal);
        standing = await client.look(id);
      }
      if (failures > 0) parts.lost(null);
      if (standing === null) {
        // It has expired, or somebody removed it.
        parts.remember(null);
        if (beginnings >= MOST_BEGINNINGS) throw vanished();
        id = null;
        continue;
      }
      if (standing.finished) {
        parts.remember(null);
        return standing.finished;
      }
      if (standing.offset > furthest) [failures, furthest] = [0, standing.offset];
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failures += 1;
      if (error.status === 0) await parts.checkFile();
      if (!mayPass(error, failures)) throw error;
      if (error.code.startsWith('csrf')) parts.heed(error);
      const pause = error.retryAfter === null ? pauseAfter(failures) : error.retryAfter * 1000;
      parts.lost(pause);
      await parts.wait(pause, signal);
      standing = null;
    }
  }
}

/** Gives an upload up; the server forgets what it has of it. */
export async function giveUp(uploads: string, id: string, exchange: Exchange, proof: Parts['proof']): Promise<void> {
  const signal = new AbortController().signal;
  const headers = { 'tus-resumable': VERSION, ...proof('DELETE') };
  await exchange({ method: 'DELETE', url: `${uploads}/${id}`, headers, body: null, signal });
}

function vanished(): ApiError {
  return new ApiError(404, 'upload_gone', 'The upload was given up', 'The appliance knows nothing of it any more.', 'Add the file again.');
}

/** The requests of the protocol. */
class Client {
  constructor(
    readonly parts: Parts,
    readonly signal: AbortSignal,
  ) {}

  async begin(): Promise<{ id: string; standing: Standing }> {
    const { uploads, file, metadata } = this.parts;
    const answer = await this.#send('POST', uploads, {
      'upload-length': String(file.size),
      'upload-metadata': encodeMetadata(metadata),
    });
    // Only the id counts: a proxy may show the appliance below another path.
    const id = answer.header('location')?.split('/').at(-1);
    if (!id) throw new ApiError(answer.status, 'no_location', 'The appliance named no place for the upload', '');
    return { id, standing: standingOf(answer) };
  }

  /** How an upload stands; null where there is none, or not of this file. */
  async look(id: string): Promise<Standing | null> {
    const answer = await this.#send('HEAD', this.#place(id), {}, null, [404, 410]);
    if (answer.status >= 400 || Number(answer.header('upload-length')) !== this.parts.file.size) return null;
    return standingOf(answer);
  }

  async append(id: string, offset: number): Promise<Standing | null> {
    const { file, sent } = this.parts;
    const part = file.slice(offset, Math.min(file.size, offset + PART_BYTES));
    const headers = { 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) };
    const progress = (bytes: number) => sent(offset + Math.min(bytes, part.size), false);
    const answer = await this.#send('PATCH', this.#place(id), headers, part, [404, 410], progress);
    if (answer.status >= 400) return null;
    const standing = standingOf(answer);
    sent(standing.offset, false);
    return standing;
  }

  #place(id: string): string {
    return `${this.parts.uploads}/${encodeURIComponent(id)}`;
  }

  async #send(
    method: string,
    url: string,
    more: Record<string, string>,
    body: Blob | null = null,
    expected: number[] = [],
    progress?: (sent: number) => void,
  ): Promise<Answer> {
    const headers = { accept: 'application/json', 'tus-resumable': VERSION, ...more, ...this.parts.proof(method) };
    const outgoing = { method, url, headers, body, signal: this.signal };
    const answer = await this.parts.exchange(progress ? { ...outgoing, progress } : outgoing);
    if (answer.status === 0) throw unreachable();
    if (answer.status >= 400 && !expected.includes(answer.status)) {
      throw readProblem(answer.status, answer.text, answer.header('retry-after'));
    }
    return answer;
  }
}

function standingOf(answer: Answer): Standing {
  const offset = Number(answer.header('upload-offset'));
  const [document, item] = [answer.header('x-cairn-document'), answer.header('x-cairn-item')];
  const outcome = (answer.header('x-cairn-outcome') ?? 'accepted') as Finished['outcome'];
  return { offset: Number.isFinite(offset) ? offset : 0, finished: document && item ? { document, item, outcome } : null };
}
