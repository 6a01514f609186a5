// Sources: what a run did in words, and when somebody is asked whether it is right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksToConfirm, changesOf, formOf, isElsewhere, needsPassword, newSource, placeOf, runWords } from './sources.ts';
import type { RunCounts, Source } from './types.ts';

const NOTHING: RunCounts = {
  new: 0,
  changed: 0,
  moved: 0,
  deleted: 0,
  missing: 0,
  unchanged: 0,
  failed: 0,
  skipped: 0,
  hidden: 0,
  unsettled: 0,
};

function source(error: string | null, more: Partial<Source> = {}): Source {
  const at = '2026-11-24T10:00:00Z';
  const last_run = { ...NOTHING, started_at: at, ended_at: at, outcome: 'failed', error, problems: [] };
  return { kind: 'directory', path: '/mnt/a', state: 'failed', deletions: 'remove', last_run, ...more } as Source;
}

test('a run is told by what it did and nothing else', () => {
  assert.equal(runWords(NOTHING), 'nothing new');
  assert.equal(runWords({ ...NOTHING, new: 1200, failed: 2 }), '1,200 new · 2 failed');
  assert.equal(runWords({ ...NOTHING, new: 1, hidden: 12 }), '1 new · 12 hidden and left alone');
});

test('only a source that lost most of its files asks whether that is right', () => {
  const error = '25 of 30 files are gone. Nothing was removed; if it is right, run it again and confirm.';
  assert.equal(asksToConfirm(source(error)), true);
  assert.equal(asksToConfirm(source('it cannot be read')), false);
  assert.equal(asksToConfirm(source(error, { deletions: 'keep' })), false);
  assert.equal(placeOf(source(null)), '/mnt/a');
});

function mailbox(more: Partial<Source> = {}): Source {
  const settings = { kind: 'imap', host: 'mail.lan', port: null, security: 'tls', user: 'office', folders: ['INBOX'], certificate: null };
  return { ...settings, name: 'mail', interval_seconds: 90, deletions: 'keep', ...more } as Source;
}

test('a form that nobody touched changes nothing, and only what differs is sent', () => {
  for (const one of [mailbox(), source(null, { name: 'team', interval_seconds: 10 })]) {
    assert.deepEqual(changesOf(one, formOf(one)), {});
  }
  const form = { ...formOf(mailbox()), name: ' post ', minutes: 60, folders: ' INBOX \n\nSent\n' };
  assert.deepEqual(changesOf(mailbox(), form), { name: 'post', interval_seconds: 3600, folders: ['INBOX', 'Sent'] });
  assert.deepEqual(changesOf(mailbox(), { ...formOf(mailbox()), password: 'new' }), { password: 'new' });
});

test('another place has to be said to be the same, and asks for the password again', () => {
  const moved = { ...formOf(mailbox()), host: 'mail2.lan' };
  assert.equal(isElsewhere(mailbox(), moved), true);
  assert.deepEqual(changesOf(mailbox(), moved), { host: 'mail2.lan' });
  assert.deepEqual(changesOf(mailbox(), { ...moved, samePlace: true }), { host: 'mail2.lan', same_place: true });
  assert.equal(needsPassword(mailbox(), moved), true);
  assert.equal(needsPassword(mailbox(), { ...formOf(mailbox()), port: 143, security: 'starttls' }), true);
  assert.equal(needsPassword(mailbox(), { ...formOf(mailbox()), folders: '' }), false);
  const share = source(null, { name: 'team' });
  assert.equal(isElsewhere(share, { ...formOf(share), path: '/mnt/b' }), true);
});

test('a new source is what its form says', () => {
  const form = { ...formOf(null), name: 'team', path: ' /mnt/a ' };
  const shared = { name: 'team', interval_seconds: 300 };
  assert.deepEqual(newSource(form), { ...shared, kind: 'directory', path: '/mnt/a', deletions: 'remove' });
});
