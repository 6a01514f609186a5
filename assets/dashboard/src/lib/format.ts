// Numbers, sizes, durations and dates as people read them.

const LOCALE = 'en-GB';
const integer = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3 });
const localDay = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', year: 'numeric' });
const utcDay = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
const dayTime = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });
const exact = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'medium' });

export const count = (value: number): string => integer.format(value);

/** `1 document`, `2 documents`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A rate or a score with three significant digits. */
export const figure = (value: number): string => short.format(value);

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? count(scaled) : short.format(scaled)} ${units[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return 'under a second';
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} days`;
}

/**
 * A day. Midnight UTC is how a date without a time comes over the wire; it must not slip into
 * the day before for readers west of Greenwich.
 */
export function day(timestamp: string): string {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return timestamp;
  return (isPlainDay(date) ? utcDay : localDay).format(date);
}

/** A day with its time, where it has one. */
export function dayAndTime(timestamp: string): string {
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime())) return timestamp;
  return isPlainDay(date) ? utcDay.format(date) : dayTime.format(date);
}

/** A moment to the second. */
export function moment(timestamp: string): string {
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? timestamp : exact.format(date);
}

function isPlainDay(date: Date): boolean {
  return date.getTime() % 86_400_000 === 0;
}

/** The last part of a path, for places too narrow for the whole. */
export function baseName(source: string): string {
  return source.split('/').filter(Boolean).at(-1) ?? source;
}

/** The browser and the system behind a `User-Agent`, in a word or two. */
export function agentName(agent: string | null | undefined): string {
  if (!agent) return 'Unknown browser';
  const browser = /Edg\//.test(agent)
    ? 'Edge'
    : /Firefox\//.test(agent)
      ? 'Firefox'
      : /Chrome\//.test(agent)
        ? 'Chrome'
        : /Safari\//.test(agent)
          ? 'Safari'
          : agent.split(/[\s/(]/, 1)[0] || 'Unknown browser';
  const system = /Android|iPhone|iPad|Windows|Mac OS X|Linux/.exec(agent)?.[0];
  return system ? `${browser} on ${system.replace('Mac OS X', 'macOS')}` : browser;
}
