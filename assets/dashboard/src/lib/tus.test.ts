// Uploads in parts: they go on where they were, whatever becomes of the connection meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer, Outgoing } from './exchange.ts';
import { Pace } from './pace.ts';
import { ApiError } from './problem.ts';
import { encodeMetadata, PART_BYTES, pauseAfter, sendInParts, type Parts } from './tus.ts';

const SIZE = PART_BYTES * 2 + 5;

function answer(status: number, headers: Record<string, string> = {}, text = ''): Answer {
  return { status, header: (name) => headers[name] ?? null, text };
}

/** A server of one upload. `faults` are taken one per request, where they are not null. */
class Server {
  asked: string[] = [];
  offset = 0;
  id = 1;
  faults: ((outgoing: Outgoing) => Answer | null)[] = [];
  /** Questions after the last byte until the parts are put together. */
  joining = 0;

  exchange = async (outgoing: Outgoing): Promise<Answer> => {
    const { method, headers, url, body } = outgoing;
    this.asked.push(method === 'PATCH' ? `PATCH ${headers['upload-offset']}` : method);
    const fault = this.faults.shift()?.(outgoing);
    if (fault) return fault;
    if (method === 'POST') {
      this.offset = 0;
      return answer(201, { location: `/below/api/v1/tenants/t/uploads/u${this.id}`, 'upload-offset': '0' });
    }
    if (url !== `uploads/u${this.id}`) return answer(404);
    if (method === 'PATCH') {
      if (Number(headers['upload-offset']) !== this.offset) return answer(409);
      this.offset += body?.size ?? 0;
    }
    return answer(method === 'HEAD' ? 200 : 204, this.#standing());
  };

  #standing(): Record<string, string> {
    const done = this.offset === SIZE && this.joining-- <= 0;
    return {
      'upload-offset': String(this.offset),
      'upload-length': String(SIZE),
      ...(done ? { 'x-cairn-document': 'd', 'x-cairn-item': 'i', 'x-cairn-outcome': 'accepted' } : {}),
    };
  }
}

function parts(server: Server, more: Partial<Parts> = {}) {
  const seen = { remembered: [] as (string | null)[], waited: [] as number[], heeded: [] as string[] };
  const given: Parts = {
    uploads: 'uploads',
    file: { size: SIZE, slice: (start, end) => ({ size: end - start }) as Blob },
    metadata: { source: 'a.bin' },
    known: null,
    exchange: server.exchange,
    proof: (method) => ({ 'x-proof': method }),
    wait: async (ms) => void seen.waited.push(ms),
    checkFile: async () => undefined,
    sent: () => undefined,
    lost: () => undefined,
    remember: (id) => void seen.remembered.push(id),
    heed: (error) => void seen.heeded.push(error.code),
    ...more,
  };
  return { given, seen };
}

const never = new AbortController().signal;
const lost = () => answer(0);

test('a file is sent in parts, each with the proof of the page, and forgotten when it is a document', async () => {
  const server = new Server();
  const proofs: unknown[] = [];
  const exchange = (outgoing: Outgoing) => {
    proofs.push(outgoing.headers['x-proof'], outgoing.headers['tus-resumable']);
    return server.exchange(outgoing);
  };
  const { given, seen } = parts(server, { exchange });
  const finished = await sendInParts(given, never);
  assert.deepEqual(finished, { document: 'd', item: 'i', outcome: 'accepted' });
  assert.deepEqual(server.asked, ['POST', 'PATCH 0', `PATCH ${PART_BYTES}`, `PATCH ${PART_BYTES * 2}`]);
  assert.deepEqual(seen.remembered, ['u1', null]);
  assert.deepEqual(proofs.slice(0, 4), ['POST', '1.0.0', 'PATCH', '1.0.0']);
});

test('after a lost connection it asks how far it is and goes on there', async () => {
  const server = new Server();
  const keepsSome = () => {
    server.offset = PART_BYTES + 7;
    return answer(0);
  };
  server.faults = [() => null, () => null, keepsSome, lost, () => answer(502), () => null];
  const { given, seen } = parts(server);
  const pauses: (number | null)[] = [];
  given.lost = (pause) => void pauses.push(pause);
  await sendInParts(given, never);
  const expected = ['POST', 'PATCH 0', `PATCH ${PART_BYTES}`, 'HEAD', 'HEAD', 'HEAD', `PATCH ${PART_BYTES + 7}`];
  assert.deepEqual(server.asked, expected);
  assert.deepEqual(seen.waited, [1000, 2000, 4000]);
  assert.deepEqual([pauses.at(0), pauses.at(-1)], [1000, null]);
});

test('an upload that was begun before the page was loaded goes on, and one that is gone begins anew', async () => {
  const server = new Server();
  server.offset = PART_BYTES;
  const { given } = parts(server, { known: 'u1' });
  await sendInParts(given, never);
  assert.deepEqual(server.asked, ['HEAD', `PATCH ${PART_BYTES}`, `PATCH ${PART_BYTES * 2}`]);

  const other = new Server();
  other.id = 2;
  const again = parts(other, { known: 'u1' });
  await sendInParts(again.given, never);
  assert.equal(other.asked[0], 'HEAD');
  assert.equal(other.asked[1], 'POST');
  assert.deepEqual(again.seen.remembered, [null, 'u2', null]);
});

test('an upload of another length under the same id is not gone on with', async () => {
  const server = new Server();
  server.faults = [() => answer(200, { 'upload-offset': '3', 'upload-length': '9' })];
  const { given } = parts(server, { known: 'u1' });
  await sendInParts(given, never);
  assert.deepEqual(server.asked.slice(0, 3), ['HEAD', 'POST', 'PATCH 0']);
});

test('it waits while the server puts the parts together', async () => {
  const server = new Server();
  server.joining = 2;
  const { given } = parts(server);
  const finished = await sendInParts(given, never);
  assert.equal(finished.document, 'd');
  assert.deepEqual(server.asked.slice(-2), ['HEAD', 'HEAD']);
});

test('what waiting does not mend is told at once, and the upload is kept for another try', async () => {
  for (const status of [401, 403, 413, 507]) {
    const server = new Server();
    server.faults = [() => null, () => null, () => answer(status, {}, '{"code":"some"}')];
    const { given, seen } = parts(server);
    await assert.rejects(sendInParts(given, never), (error) => error instanceof ApiError && error.status === status);
    assert.deepEqual(seen.remembered, ['u1'], `${status}`);
    assert.deepEqual(seen.waited, []);
  }
});

test('a fault of the server is borne a few times, an old token is renewed, and a limit is waited out', async () => {
  const server = new Server();
  server.faults = Array.from({ length: 40 }, () => () => answer(500));
  const { given, seen } = parts(server);
  await assert.rejects(sendInParts(given, never), /./);
  assert.equal(seen.waited.length, 5);

  const renewed = new Server();
  renewed.faults = [() => answer(403, {}, '{"code":"csrf_failed"}'), () => answer(429, { 'retry-after': '60' })];
  const fine = parts(renewed);
  await sendInParts(fine.given, never);
  assert.deepEqual(fine.seen.heeded, ['csrf_failed']);
  assert.deepEqual(fine.seen.waited, [1000, 60_000]);
});

test('a file that vanished is no lost connection', async () => {
  const server = new Server();
  server.faults = [() => null, lost];
  const gone = new ApiError(0, 'unreadable_file', 'gone', '');
  const { given } = parts(server, { checkFile: () => Promise.reject(gone) });
  await assert.rejects(sendInParts(given, never), gone);
});

test('pauses grow up to half a minute, and metadata is in base 64 whatever its letters', () => {
  assert.deepEqual([1, 2, 3, 6, 60].map(pauseAfter), [1000, 2000, 4000, 30_000, 30_000]);
  assert.equal(encodeMetadata({ source: 'Bücher/a.txt', filetype: '', n: 'x' }), 'source QsO8Y2hlci9hLnR4dA==,n eA==');
});

test('a pace is what the last seconds say, and nothing before there are any', () => {
  const pace = new Pace();
  pace.add(0, 0);
  assert.equal(pace.perSecond, null);
  pace.add(500, 500);
  assert.equal(pace.secondsFor(100), null);
  pace.add(2000, 2000);
  assert.equal(pace.perSecond, 1000);
  assert.equal(pace.secondsFor(5000), 5);
  pace.add(100, 2500);
  assert.equal(pace.perSecond, null, 'it fell: it began anew');
});
