import assert from 'node:assert/strict';
import test from 'node:test';
import { cellText, columnLetters, columnNames, isNumber, tableName } from './tables.ts';
import type { DocumentTable } from './types.ts';

const table: DocumentTable = {
  number: 2,
  name: null,
  caption: null,
  page: null,
  start: 0,
  end: 9,
  header: ['id', ''],
  columns: 3,
  rows: 1,
  truncated: false,
};

test('a cell is shown as the document writes it', () => {
  assert.equal(cellText(null), '');
  assert.equal(cellText(false), 'FALSE');
  assert.equal(cellText(0), '0');
  assert.equal(cellText({ number: 1234.5, text: '1.234,50' }), '1.234,50');
  assert.equal(cellText({ date: '2024-03-01T12:00:00' }), '2024-03-01 12:00:00');
  assert.equal(cellText({ date: '2024-03-01', text: '1.3.2024' }), '1.3.2024');
});

test('only numbers stand at the right', () => {
  assert.ok(isNumber(1) && isNumber({ number: 1, text: '1,0' }));
  assert.ok(!isNumber(null) && !isNumber('1') && !isNumber({ date: '2024-03-01' }));
});

test('tables and columns without a name get one', () => {
  assert.equal(tableName(table), 'Table 2');
  assert.equal(tableName({ ...table, name: 'Sheet1' }), '2. Sheet1');
  assert.deepEqual(columnNames(table), ['id', 'B', 'C']);
  assert.equal(columnLetters(25), 'Z');
  assert.equal(columnLetters(26), 'AA');
  assert.equal(columnLetters(702), 'AAA');
});
