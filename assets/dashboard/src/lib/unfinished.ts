// Uploads that were begun and not finished, so that the same file, chosen again, goes on where it was.
// The server keeps them for three days.
import { forgetAll, recall, recallAll, remember } from './storage.ts';

const LIFETIME_MS = 72 * 3_600_000;

/** What tells whether a file is the one that was begun. */
export interface Marks {
  tenant: string;
  collection: string;
  source: string;
  size: number;
  lastModified: number;
}

type Name = `cairn.upload.${string}`;

const nameOf = ({ tenant, collection, source, size, lastModified }: Marks): Name =>
  `cairn.upload.${JSON.stringify([tenant, collection, source, size, lastModified])}`;

function read(text: string | null): { id: string; at: number } | null {
  try {
    const found: unknown = JSON.parse(text ?? 'null');
    if (typeof found !== 'object' || found === null) return null;
    const { id, at } = found as Record<string, unknown>;
    return typeof id === 'string' && typeof at === 'number' ? { id, at } : null;
  } catch {
    return null;
  }
}

const isOver = (entry: { at: number } | null, now: number): boolean => entry === null || now - entry.at > LIFETIME_MS;

export const unfinished = {
  /** The upload of a file that was begun. */
  of(marks: Marks, now = Date.now()): string | null {
    const entry = read(recall(nameOf(marks)));
    return isOver(entry, now) ? null : (entry?.id ?? null);
  },

  /** Notes an upload; null forgets it. What is too old to go on is forgotten with it. */
  note(marks: Marks, id: string | null, now = Date.now()): void {
    for (const [name, text] of recallAll('cairn.upload.')) {
      if (isOver(read(text), now)) remember(name as Name, null);
    }
    remember(nameOf(marks), id === null ? null : JSON.stringify({ id, at: now }));
  },

  /** Nothing of them stays behind. */
  forget(): void {
    forgetAll('cairn.upload.');
  },
};
