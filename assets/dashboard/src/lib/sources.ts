// Typed client for synchronised sources, and their words for people.
import { json, part, tenantUrl } from './http.ts';
import { count } from './format.ts';
import type * as T from './types.ts';

const source = (tenant: string, id: string, rest = '') => tenantUrl(tenant, `/sources${part(id)}${rest}`);

export const sources = {
  list: (tenant: string) => json<{ sources: T.Source[] }>('GET', tenantUrl(tenant, '/sources')),
  create: (tenant: string, body: T.NewSource) => json<T.Source>('POST', tenantUrl(tenant, '/sources'), { body }),
  change: (tenant: string, id: string, body: T.SourceChange) => json<T.Source>('PATCH', source(tenant, id), { body }),
  run: (tenant: string, id: string, gone_confirmed: boolean) =>
    json<T.Source>('POST', source(tenant, id, '/run'), { body: { gone_confirmed } }),
  remove: (tenant: string, id: string) => json<void>('DELETE', source(tenant, id)),
};

export const SOURCE_STATE: Record<T.SourceState, string> = {
  running: 'Running',
  due: 'Due',
  paused: 'Paused',
  idle: 'In step',
  waiting: 'Waiting for room',
  failed: 'Failed',
};

/** Where it is. */
export function placeOf(one: T.Source): string {
  return one.kind === 'directory' ? one.path : `${one.user} at ${one.host}`;
}

/** What a run did, in a few words. */
export function runWords(counts: T.RunCounts): string {
  const said: [number, string][] = [
    [counts.new, 'new'],
    [counts.changed, 'changed'],
    [counts.moved, 'moved'],
    [counts.deleted, 'removed'],
    [counts.missing, 'missing there'],
    [counts.unchanged, 'unchanged'],
    [counts.failed, 'failed'],
    [counts.skipped, 'left alone'],
    [counts.hidden, 'hidden and left alone'],
    [counts.unsettled, 'still being written'],
  ];
  const words = said.filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`);
  return words.length > 0 ? words.join(' · ') : 'nothing new';
}

/** True where a run removed nothing because most of the source is gone, so that somebody may say that it is right. */
export function asksToConfirm(one: T.Source): boolean {
  return one.state === 'failed' && one.deletions === 'remove' && /run it again and confirm/.test(one.last_run?.error ?? '');
}

/** What a form holds of a source, whichever kind it is. */
export interface SourceForm {
  kind: T.Source['kind'];
  name: string;
  path: string;
  host: string;
  port: number | null;
  security: T.ImapSettings['security'];
  user: string;
  password: string;
  folders: string;
  certificate: string;
  minutes: number;
  deletions: T.Deletions;
  samePlace: boolean;
}

/** The form of a source that is there, or of a new one. */
export function formOf(one: T.Source | null): SourceForm {
  const mailbox = one?.kind === 'imap' ? one : null;
  return {
    kind: one?.kind ?? 'directory',
    name: one?.name ?? '',
    path: one?.kind === 'directory' ? one.path : '',
    host: mailbox?.host ?? '',
    port: mailbox?.port ?? null,
    security: mailbox?.security ?? 'tls',
    user: mailbox?.user ?? '',
    password: '',
    folders: mailbox?.folders.join('\n') ?? '',
    certificate: mailbox?.certificate ?? '',
    minutes: one ? Math.round((one.interval_seconds / 60) * 100) / 100 : 5,
    deletions: one?.deletions ?? 'remove',
    samePlace: false,
  };
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

const seconds = (minutes: number): number => Math.max(10, Math.round(minutes * 60));

/** The source that a form describes. */
export function newSource(form: SourceForm): T.NewSource {
  const shared = { name: form.name.trim(), interval_seconds: seconds(form.minutes) };
  if (form.kind === 'directory') {
    return { ...shared, kind: 'directory', path: form.path.trim(), deletions: form.deletions };
  }
  return { ...shared, kind: 'imap', password: form.password, ...mailboxOf(form) };
}

function mailboxOf(form: SourceForm): Omit<T.ImapSettings, 'kind'> {
  return {
    host: form.host.trim(),
    port: form.port,
    security: form.security,
    user: form.user.trim(),
    folders: lines(form.folders),
    certificate: form.certificate.trim() || null,
  };
}

/** True where a form names another place than the source has, which its owner may say is the same. */
export function isElsewhere(one: T.Source, form: SourceForm): boolean {
  if (one.kind === 'directory') return form.path.trim() !== one.path;
  return form.host.trim() !== one.host || form.user.trim() !== one.user;
}

/** True where the password goes somewhere, or is protected, otherwise than before: it is asked for again. */
export function needsPassword(one: T.Source, form: SourceForm): boolean {
  if (one.kind === 'directory') return false;
  const now = mailboxOf(form);
  return isElsewhere(one, form) || now.port !== one.port || now.security !== one.security || now.certificate !== (one.certificate?.trim() || null);
}

/** What is different in a form; nothing that stays is sent. */
export function changesOf(one: T.Source, form: SourceForm): T.SourceChange {
  const change: T.SourceChange = {};
  const interval = seconds(form.minutes);
  if (form.name.trim() !== one.name) change.name = form.name.trim();
  if (interval !== one.interval_seconds) change.interval_seconds = interval;
  if (form.deletions !== one.deletions) change.deletions = form.deletions;
  if (one.kind === 'directory') {
    if (isElsewhere(one, form)) change.path = form.path.trim();
  } else {
    const now = mailboxOf(form);
    if (now.host !== one.host) change.host = now.host;
    if (now.port !== one.port) change.port = now.port;
    if (now.security !== one.security) change.security = now.security;
    if (now.user !== one.user) change.user = now.user;
    if (now.folders.join('\n') !== one.folders.join('\n')) change.folders = now.folders;
    if (now.certificate !== (one.certificate?.trim() || null)) change.certificate = now.certificate;
    if (form.password !== '') change.password = form.password;
  }
  if (isElsewhere(one, form) && form.samePlace) change.same_place = true;
  return change;
}
