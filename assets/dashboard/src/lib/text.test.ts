// Tests of the pure text functions: offsets, segments, answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerParts } from './answer.ts';
import { scalarLength, sliceScalars, toUtf16 } from './offsets.ts';
import { segments } from './segments.ts';
import { ocrMark } from './words.ts';

test('plain letters have the same offset in both counts', () => {
  assert.deepEqual(toUtf16('abcdef', [0, 2, 6]), [0, 2, 6]);
});

test('a character outside the basic plane counts once here and twice in JavaScript', () => {
  assert.equal(scalarLength('a😀b'), 3);
  assert.deepEqual(toUtf16('a😀b', [0, 1, 2, 3]), [0, 1, 3, 4]);
  assert.equal(sliceScalars('𝒳𝒴𝒵', 1, 2), '𝒴');
});

test('combining marks and joiners count one by one, as the server counts them', () => {
  assert.equal(scalarLength('e\u0301'), 2);
  assert.equal(scalarLength('👩‍🔬'), 3);
});

test('offsets may come in any order, repeat and lie past the end', () => {
  assert.deepEqual(toUtf16('😀😀', [9, 1, 0, 1, 2]), [4, 2, 0, 2, 4]);
  assert.equal(sliceScalars('😀', 1, 9), '');
  assert.equal(sliceScalars('abc', 2, 1), '');
});

test('a lone surrogate counts as one and does not swallow its neighbour', () => {
  assert.equal(scalarLength('\ud800a'), 2);
  assert.deepEqual(toUtf16('\ud800a', [1, 2]), [1, 2]);
});

test('a long text of emoji is cut at the right place', () => {
  const text = '🪨'.repeat(10_000) + 'cairn';
  assert.equal(sliceScalars(text, 10_000, 10_005), 'cairn');
});

test('segments put back together give the text', () => {
  const text = 'one 😀 two 😀 three';
  const runs = segments(text, [
    { start: 4, end: 8, name: 'cited' },
    { start: 6, end: 12, name: 'heading' },
  ]);
  assert.equal(runs.map((run) => run.text).join(''), text);
  assert.deepEqual(
    runs.map((run) => run.marks),
    [[], ['cited'], ['cited', 'heading'], ['heading'], []],
  );
});

test('segments honour an origin, and marks that begin before the text or end after it', () => {
  const runs = segments('defg', [{ start: 90, end: 102, name: 'cited' }], 100);
  assert.deepEqual(runs, [
    { text: 'de', start: 100, marks: ['cited'] },
    { text: 'fg', start: 102, marks: [] },
  ]);
});

test('a break splits a run without marking it', () => {
  const runs = segments('abcd', [], 10, [12, 10, 99]);
  assert.deepEqual(
    runs.map((run) => [run.start, run.text]),
    [
      [10, 'ab'],
      [12, 'cd'],
    ],
  );
});

test('an empty text has no segments', () => {
  assert.deepEqual(segments('', [{ start: 0, end: 4, name: 'cited' }]), []);
});

test('each sentence of an answer is followed by its citation', () => {
  const parts = answerParts('Granite is hard. Chalk is soft.', [
    { text: 'Granite is hard.' },
    { text: 'Chalk is soft.' },
  ]);
  assert.deepEqual(parts, [
    { text: 'Granite is hard.', citations: [1] },
    { text: ' Chalk is soft.', citations: [2] },
  ]);
});

test('a citation that is not in the answer does not disturb the others', () => {
  const parts = answerParts('Chalk is soft. So they say.', [{ text: 'Elsewhere.' }, { text: 'Chalk is soft.' }]);
  assert.deepEqual(parts, [
    { text: 'Chalk is soft.', citations: [2] },
    { text: ' So they say.', citations: [] },
  ]);
});

test('a passage that OCR has read says how sure that is', () => {
  assert.equal(ocrMark(87), 'Read by OCR, 87 % sure');
  assert.equal(ocrMark(undefined), 'Read by OCR');
});
