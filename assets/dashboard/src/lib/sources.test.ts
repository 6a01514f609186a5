// Sources: what a run did in words, and when somebody is asked whether it is right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asksToConfirm, placeOf, runWords } from './sources.ts';
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
});

test('only a source that lost most of its files asks whether that is right', () => {
  const error = '25 of 30 files are gone. Nothing was removed; if it is right, run it again and confirm.';
  assert.equal(asksToConfirm(source(error)), true);
  assert.equal(asksToConfirm(source('it cannot be read')), false);
  assert.equal(asksToConfirm(source(error, { deletions: 'keep' })), false);
  assert.equal(placeOf(source(null)), '/mnt/a');
});
