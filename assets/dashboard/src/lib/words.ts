// The words the page uses for states, types, dates and modes.
import type { DateBasis, Dates, ItemState, LedgerItem, SearchMode, SheetCells, Voice } from './types.ts';

/** In the order the ledger shows them. */
export const STATES: readonly ItemState[] = [
  'indexed',
  'waiting',
  'duplicate',
  'unsupported',
  'failed',
  'superseded',
  'deleted',
];

export const STATE_MEANING: Record<ItemState, string> = {
  waiting: 'Taken in; work on it goes on by itself',
  indexed: 'Found by search and questions',
  duplicate: 'Same content as another document',
  unsupported: 'Kept, but this type is not read yet',
  failed: 'Could not be read; see the reason',
  superseded: 'A newer revision took its place',
  deleted: 'Removed on request',
};

export const MODES: readonly { mode: SearchMode; label: string; meaning: string }[] = [
  { mode: 'hybrid', label: 'Hybrid', meaning: 'Words and meaning together' },
  { mode: 'keyword', label: 'Keyword', meaning: 'The exact words, phrases and fields' },
  { mode: 'vector', label: 'Meaning', meaning: 'Similar meaning, other words allowed' },
];

export const TYPES: readonly { type: string; label: string }[] = [
  { type: 'application/pdf', label: 'PDF' },
  { type: 'message/rfc822', label: 'Mail' },
  { type: 'text/html', label: 'Web page' },
  { type: 'text/markdown', label: 'Markdown' },
  { type: 'text/plain', label: 'Plain text' },
  { type: 'text/csv', label: 'CSV table' },
  { type: 'application/json', label: 'JSON' },
  { type: 'application/x-chat+json', label: 'Chat' },
  { type: 'application/x-event+json', label: 'Calendar entry' },
  { type: 'application/x-contact+json', label: 'Contact' },
  { type: 'text/', label: 'Any text' },
];

const OTHER_TYPES: Record<string, string> = {
  'application/mbox': 'Mailbox',
  'application/x-list+json': 'List',
  'application/x-note+json': 'Note',
  'application/x-page+json': 'Wiki page',
  'text/x-chat': 'Chat',
  'text/calendar': 'Calendar',
  'text/vcard': 'Address book',
  'application/x-ndjson': 'JSON Lines',
  'application/jsonl': 'JSON Lines',
  'text/tab-separated-values': 'TSV table',
  'application/zip': 'Zip archive',
  'application/octet-stream': 'Unknown type',
};

export function typeLabel(mediaType: string | null): string {
  if (!mediaType) return 'Unknown type';
  return TYPES.find(({ type }) => type === mediaType)?.label ?? OTHER_TYPES[mediaType] ?? mediaType;
}

export const DATE_LABEL: Record<DateBasis, string> = {
  event: 'Event date',
  content: 'Content date',
  file: 'File date',
  ingest: 'Added',
};

export const DATE_MEANING: Record<DateBasis, string> = {
  event: 'when what the text speaks of happened',
  content: 'written in the document or its mail header',
  file: 'last change according to its file system',
  ingest: 'when Cairn took it in',
};

export const DATE_ORDER: readonly DateBasis[] = ['event', 'content', 'file', 'ingest'];

/** The date to show: event, else content, else file, else ingest. */
export function effectiveDate(dates: Dates): { basis: DateBasis; date: string } {
  for (const basis of DATE_ORDER) {
    const date = dates[basis];
    if (date) return { basis, date };
  }
  return { basis: 'ingest', date: dates.ingest };
}

/** Why an item stands where it stands, as a sentence. */
export function reasonSentence(item: Pick<LedgerItem, 'state' | 'reason' | 'detail'>): string {
  if (item.detail) return item.detail;
  if (item.reason) return `${item.reason.replaceAll('_', ' ')}.`.replace(/^./, (first) => first.toUpperCase());
  return STATE_MEANING[item.state];
}

export const canRetry = (state: ItemState): boolean => state === 'failed' || state === 'unsupported';
/** True where a password opens it. */
export const isLocked = (item: Pick<LedgerItem, 'state' | 'reason'>): boolean =>
  item.state === 'failed' && item.reason === 'password_required';
export const canRemove = (state: ItemState): boolean => state !== 'deleted' && state !== 'superseded';

/** Makes a link with which a user chooses a new password. */
export const RESET_COMMAND = 'cairn link <name>';
/** Takes a lost second factor away. */
export const TOTP_COMMAND = 'cairn user reset-totp <name>';
/** Makes the link for the first administrator. */
export const SETUP_COMMAND = 'cairn link';
/** Opens a sealed appliance at its console. */
export const UNSEAL_COMMAND = 'cairn keys unseal';

/** What the mark of a passage that OCR has read stands for. */
export const OCR_MEANING = 'Read from a picture: letters may be wrong. The number says how sure OCR is, out of 100.';

/** Where in a workbook a passage stands, as people say it. */
export function cellsLabel({ sheet, range }: SheetCells): string {
  return sheet ? `${sheet} ${range}` : range;
}

/** The marks of passages that are not a document's own words, and what they stand for. */
export const VOICE_MARK: Partial<Record<Voice, { label: string; meaning: string }>> = {
  quoted: { label: 'Quoted', meaning: 'The mail repeats the words of another mail here.' },
  signature: { label: 'Signature', meaning: 'The mail is signed with these words.' },
};

/** The mark of a passage that OCR has read. */
export function ocrMark(confidence: number | undefined): string {
  return confidence === undefined ? 'Read by OCR' : `Read by OCR, ${confidence} % sure`;
}
