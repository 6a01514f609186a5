// How long an API key lives.

export const LIFETIMES: readonly { days: number | null; label: string }[] = [
  { days: 30, label: '30 days' },
  { days: 90, label: '90 days' },
  { days: 365, label: '1 year' },
  { days: null, label: 'No expiry' },
];

const DAY_MS = 86_400_000;

/** The moment at which a key made now ends; nothing for one without an end. */
export function expiryOf(days: number | null, now = Date.now()): string | undefined {
  return days === null ? undefined : new Date(now + days * DAY_MS).toISOString();
}

export type Remaining = 'none' | 'far' | 'soon' | 'over';

export function remaining(expiresAt: string | null | undefined, now = Date.now()): Remaining {
  if (!expiresAt) return 'none';
  const left = Date.parse(expiresAt) - now;
  if (Number.isNaN(left)) return 'none';
  return left <= 0 ? 'over' : left < 7 * DAY_MS ? 'soon' : 'far';
}
