// Tests of the pages of a document.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageAt, picturePages } from './pages.ts';

test('an offset lies on the last page that starts before it', () => {
  assert.equal(pageAt([0, 100, 250], 0), 1);
  assert.equal(pageAt([0, 100, 250], 99), 1);
  assert.equal(pageAt([0, 100, 250], 100), 2);
  assert.equal(pageAt([0, 100, 250], 9000), 3);
});

test('pages without text start where the next one does', () => {
  assert.equal(pageAt([0, 0, 0, 40], 0), 3);
  assert.equal(pageAt([], 5), 1);
});

test('only a PDF has pages to look at, as many as it says', () => {
  const pdf = { media_type: 'application/pdf', metadata: { pages: '12' }, page_starts: [0, 10] };
  assert.equal(picturePages(pdf), 12);
  assert.equal(picturePages({ ...pdf, metadata: {} }), 2);
  assert.equal(picturePages({ ...pdf, media_type: 'text/plain' }), 0);
});
