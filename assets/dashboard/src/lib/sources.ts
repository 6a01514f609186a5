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
    [counts.unsettled, 'still being written'],
  ];
  const words = said.filter(([number]) => number > 0).map(([number, what]) => `${count(number)} ${what}`);
  return words.length > 0 ? words.join(' · ') : 'nothing new';
}

/** True where a run removed nothing because most of the source is gone, so that somebody may say that it is right. */
export function asksToConfirm(one: T.Source): boolean {
  return one.state === 'failed' && one.deletions === 'remove' && /run it again and confirm/.test(one.last_run?.error ?? '');
}
