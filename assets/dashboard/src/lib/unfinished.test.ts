// What the browser keeps of unfinished uploads, and for how long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unfinished, type Marks } from './unfinished.ts';

const DAY = 86_400_000;
const marks: Marks = { tenant: 't', collection: '', source: 'a/b.zip', size: 5, lastModified: 7 };

/** Storage as a browser has it: what is kept are its own properties. */
class Storage {
  [name: string]: unknown;
  getItem(name: string) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }
  setItem(name: string, value: string) {
    this[name] = value;
  }
  removeItem(name: string) {
    delete this[name];
  }
}

function fresh(): Storage {
  const storage = new Storage();
  Object.assign(globalThis, { localStorage: storage });
  return storage;
}

test('only the very same file goes on, and only while the server keeps it', () => {
  fresh();
  unfinished.note(marks, 'u1', 0);
  assert.equal(unfinished.of(marks, DAY), 'u1');
  assert.equal(unfinished.of(marks, 4 * DAY), null);
  for (const other of [{ tenant: 'x' }, { collection: 'c' }, { source: 'b.zip' }, { size: 6 }, { lastModified: 8 }]) {
    assert.equal(unfinished.of({ ...marks, ...other }, DAY), null);
  }
  unfinished.note(marks, null, DAY);
  assert.equal(unfinished.of(marks, DAY), null);
});

test('what is too old is swept, what is no record is none, and signing out leaves nothing', () => {
  const storage = fresh();
  storage.setItem('cairn.theme', 'dark');
  storage.setItem('cairn.upload.odd', 'no record');
  unfinished.note(marks, 'u1', 0);
  unfinished.note({ ...marks, size: 6 }, 'u2', 4 * DAY);
  assert.equal(Object.keys(storage).length, 2);
  unfinished.forget();
  assert.deepEqual(Object.keys(storage), ['cairn.theme']);
});

test('a browser that forbids storage remembers nothing and goes on', () => {
  Object.defineProperty(globalThis, 'localStorage', {
    configurable: true,
    get: () => {
      throw new Error('forbidden');
    },
  });
  unfinished.note(marks, 'u1');
  assert.equal(unfinished.of(marks), null);
  unfinished.forget();
});
