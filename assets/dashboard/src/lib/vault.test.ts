// Tests of the pure functions around limits, usage and audit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { actorText, facts, hasDetail, NO_FILTER, queryOf, resourceText } from './audit.ts';
import { fileName } from './download.ts';
import { limitText, readLimit, shareOf } from './usage.ts';

test('usage warns from four fifths on and is full at the limit', () => {
  assert.equal(shareOf(799, 1000).level, 'fine');
  assert.equal(shareOf(800, 1000).level, 'near');
  assert.equal(shareOf(1000, 1000).level, 'full');
  assert.equal(shareOf(5, 0).level, 'full');
  assert.deepEqual(shareOf(1e9, null), { share: 0, level: 'fine' });
});

const GIB = 1024 ** 3;

test('a limit is written with its unit, and none is said to be none', () => {
  assert.equal(limitText('stored_bytes', 20 * GIB), '20 GiB');
  assert.equal(limitText('stored_bytes', 1000), '1,000 B');
  assert.equal(limitText('documents', 20_000), '20,000');
  assert.equal(limitText('upload_bytes', null), 'no limit');
});

test('a limit can be typed with a unit where it counts bytes, and only there', () => {
  assert.equal(readLimit('stored_bytes', ' 20 GiB '), 20 * GIB);
  assert.equal(readLimit('stored_bytes', '20 GB'), 20e9);
  assert.equal(readLimit('stored_bytes', '1.5t'), 1.5e12);
  assert.equal(readLimit('stored_bytes', '512 B'), 512);
  assert.equal(readLimit('documents', '5,000'), 5000);
  for (const text of ['5 GB', 'many', '-1', '0', '', '1.2.3']) {
    assert.equal(readLimit('documents', text), undefined, text);
  }
});

test('everything has no limit if it is to have none, but a share of the work has one', () => {
  assert.equal(readLimit('documents', 'No limit'), null);
  assert.equal(readLimit('ingest_share', 'no limit'), undefined);
});

test('a limit as it is shown can be typed', () => {
  for (const value of [1, 1000, 64 * GIB, 20 * 1024 * GIB, null]) {
    assert.equal(readLimit('stored_bytes', limitText('stored_bytes', value)), value);
  }
  assert.equal(readLimit('documents', limitText('documents', 100_000_000)), 100_000_000);
});

test('a filter asks the appliance for whole days of the reader', () => {
  assert.deepEqual(queryOf(NO_FILTER), {});
  const query = queryOf({ ...NO_FILTER, kind: 'document', actor: ' ann ', from: '2024-02-28', until: '2024-02-29' });
  assert.equal(query.action, 'document');
  assert.equal(query.actor, 'ann');
  assert.equal(query.after, new Date(2024, 1, 28).toISOString());
  assert.equal(query.before, new Date(2024, 2, 1).toISOString());
});

test('an actor is named by what it is and who it is', () => {
  assert.equal(actorText({ kind: 'user', id: 'u1', name: 'ann' }), 'ann');
  assert.equal(actorText({ kind: 'user', id: 'u1', name: null }), 'u1');
  assert.equal(actorText({ kind: 'api_key', id: 'k1', name: 'scanner' }), 'API key scanner');
  assert.equal(actorText({ kind: 'console', id: null, name: null }), 'Console');
  assert.equal(actorText({ kind: 'later', id: null, name: null }), 'later');
});

test('a resource is named by kind and id', () => {
  assert.equal(resourceText({ kind: 'api_key', id: 'k1' }), 'api key k1');
  assert.equal(resourceText(null), '');
});

test('an empty detail is not worth opening', () => {
  assert.ok(!hasDetail({}) && !hasDetail(null) && !hasDetail(''));
  assert.ok(hasDetail({ a: 1 }) && hasDetail('text') && hasDetail(0));
});

test('a certificate is laid out as lines, nested parts with the way to them', () => {
  const certificate = { tenant: { id: 't1' }, files: 3, digests: ['aa', 'bb'], steps: [{ what: 'key' }], none: null };
  assert.deepEqual(facts(certificate), [
    { name: 'tenant id', value: 't1' },
    { name: 'files', value: '3' },
    { name: 'digests', value: 'aa, bb' },
    { name: 'steps 1 what', value: 'key' },
  ]);
});

test('a file name keeps letters of any script and nothing a file system minds', () => {
  assert.equal(fileName('Käthe & Söhne / Nord'), 'Käthe-Söhne-Nord');
  assert.equal(fileName('../..'), 'cairn');
});
