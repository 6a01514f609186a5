// Limits of a tenant and how much of them is used.
import { count, figure } from './format.ts';
import type { LimitName } from './types.ts';

/** Share of a limit from which on the page warns. */
export const WARN_AT = 0.8;

export const LIMITS: readonly { name: LimitName; label: string; unit: 'bytes' | 'count' | 'share' }[] = [
  { name: 'stored_bytes', label: 'Stored', unit: 'bytes' },
  { name: 'documents', label: 'Documents', unit: 'count' },
  { name: 'jobs_in_flight', label: 'Jobs in flight', unit: 'count' },
  { name: 'concurrent_queries', label: 'Queries at the same time', unit: 'count' },
  { name: 'requests_per_second', label: 'Requests per second', unit: 'count' },
  { name: 'upload_bytes', label: 'Size of one upload', unit: 'bytes' },
  { name: 'ingest_share', label: 'Ingest weight', unit: 'share' },
];

const NO_LIMIT = 'no limit';
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Limits are round numbers in powers of two, so what is used of them is shown like that. */
function binaryBytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 1023.5 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  return `${figure(scaled)} ${UNITS[unit]}`;
}

const unitOf = (name: LimitName) => LIMITS.find((limit) => limit.name === name)?.unit;

export function limitText(name: LimitName, value: number | null | undefined): string {
  if (value === null || value === undefined) return NO_LIMIT;
  return unitOf(name) === 'bytes' ? binaryBytes(value) : count(value);
}

export interface Share {
  /** 0 to 1; more where the limit was lowered under what is there. */
  share: number;
  level: 'fine' | 'near' | 'full';
}

export function shareOf(used: number, limit: number | null): Share {
  if (limit === null) return { share: 0, level: 'fine' };
  const share = limit > 0 ? used / limit : 1;
  return { share, level: share >= 1 ? 'full' : share >= WARN_AT ? 'near' : 'fine' };
}

/**
 * What somebody typed as a limit: a whole number above zero, for bytes also with a unit such as
 * `20 GiB` or `20 GB`, or `no limit`. `undefined` is no sensible entry.
 */
export function readLimit(name: LimitName, text: string): number | null | undefined {
  const unit = unitOf(name);
  // Shares are relative to each other; one without an end would leave nothing for the others.
  if (text.trim().toLowerCase() === NO_LIMIT) return unit === 'share' ? undefined : null;
  const found = /^(\d[\d,]*(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?$/i.exec(text.trim());
  if (!found || (unit !== 'bytes' && /[a-z]/i.test(text))) return undefined;
  const power = ' kmgt'.indexOf((found[2] ?? ' ').toLowerCase());
  const value = Math.round(Number((found[1] ?? '').replaceAll(',', '')) * (found[3] ? 1024 : 1000) ** power);
  return Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

export const tierLabel = (tier: string): string => tier.replace(/^./, (first) => first.toUpperCase());
export const featureList = (features: readonly string[]): string =>
  features.map((feature) => (feature === 'api_keys' ? 'API keys' : feature.replaceAll('_', ' '))).join(', ');
