// Pages of a document: which one an offset lies on, and how many there are.
import type { DocumentDetail } from './types.ts';

/** The page, counted from 1, that holds `offset`; `starts` are in order. */
export function pageAt(starts: readonly number[], offset: number): number {
  const after = starts.findIndex((start) => start > offset);
  return Math.max(1, after === -1 ? starts.length : after);
}

/** How many pages can be shown as pictures; none for documents of other kinds. */
export function picturePages(document: Pick<DocumentDetail, 'media_type' | 'metadata' | 'page_starts'>): number {
  if (document.media_type !== 'application/pdf') return 0;
  const known = Number(document.metadata.pages);
  return Number.isInteger(known) && known > 0 ? known : document.page_starts.length;
}
