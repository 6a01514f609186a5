// Tests of the pure functions around accounts and rights.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameInHeader, svgAddress } from './download.ts';
import { expiryOf, remaining } from './expiry.ts';
import { agentName } from './format.ts';
import { inGroups, passwordRules, shareLines } from './password.ts';
import { readProblem, retrySeconds } from './problem.ts';
import { applianceRights, entrance, rightsOn, sectionsFor } from './rights.ts';
import { parseRoute, to } from './routes.ts';
import { refusal, sentence } from './signin.ts';
import type { Actor, Role } from './types.ts';

const TENANT = { id: 't1', name: 'north/quarry' };

function user(role: Role | null, appliance_role: 'admin' | 'operator' | null = null): Actor {
  return {
    actor: 'user',
    user: { id: 'u1', name: 'ann', appliance_role, totp_enabled: false },
    memberships: role ? [{ tenant_id: 't1', tenant_name: TENANT.name, role }] : [],
  };
}

const met = (password: string, name: string, again: string) => passwordRules(password, name, again).map((rule) => rule.met);

test('a password of twelve letters entered twice is good', () => {
  assert.deepEqual(met('twelve lette', 'ann', 'twelve lette'), [true, true, true]);
});

test('a short password, one that is the name, and a slip the second time are told apart', () => {
  assert.deepEqual(met('eleven lett', 'ann', 'eleven lett'), [false, true, true]);
  assert.deepEqual(met('Ann of the Quarry', 'ann of the quarry ', 'Ann of the Quarry'), [true, false, true]);
  assert.deepEqual(met('twelve lette', 'ann', 'twelve letta'), [true, true, false]);
  assert.deepEqual(met('', 'ann', ''), [false, false, false]);
});

test('a password is as long as its characters, not as its code units', () => {
  assert.equal(met('🪨🪨🪨🪨🪨🪨', 'ann', '')[0], false);
  assert.match(passwordRules('🪨🪨', 'ann', '')[0]?.text ?? '', /2 so far/);
});

test('recovery shares are read one a line, without blanks', () => {
  assert.deepEqual(shareLines('  one two \r\n\n\tthree\n'), ['one two', 'three']);
  assert.deepEqual(shareLines(' \n '), []);
});

test('a secret is shown in groups of four without a blank at its end', () => {
  assert.equal(inGroups('ABCDEFGH'), 'ABCD EFGH');
  assert.equal(inGroups('abcd efghi'), 'abcd efgh i');
});

test('an owner manages, a reader reads, an auditor sees the audit and no content', () => {
  const owner = rightsOn(user('owner'), TENANT);
  assert.ok(owner.read && owner.write && owner.manage && owner.audit && !owner.administer);
  const reader = rightsOn(user('reader'), TENANT);
  assert.ok(reader.read && !reader.write && !reader.manage && !reader.audit);
  const auditor = rightsOn(user('auditor'), TENANT);
  assert.ok(auditor.audit && !auditor.read);
});

test('an administrator of the appliance administers every tenant and reads none', () => {
  const rights = rightsOn(user(null, 'admin'), TENANT);
  assert.ok(rights.administer && rights.lock && !rights.read && !rights.manage && !rights.audit);
  assert.deepEqual(sectionsFor(rights), ['overview', 'members', 'vault']);
});

test('an operator locks, unlocks, and nothing else', () => {
  const rights = rightsOn(user(null, 'operator'), TENANT);
  assert.ok(rights.lock && !rights.administer);
  assert.deepEqual(sectionsFor(rights), ['vault']);
  assert.deepEqual(applianceRights(user(null, 'operator')), { administer: false, operate: true });
});

test('the console may do everything, and nobody signed in may do nothing', () => {
  const console = rightsOn({ actor: 'console', memberships: [] }, TENANT);
  assert.ok(console.read && console.manage && console.administer && console.audit);
  assert.ok(Object.values(rightsOn(null, TENANT)).every((right) => !right));
});

test('everybody enters a tenant where there is something for them', () => {
  const enter = (actor: Actor) => entrance(TENANT, rightsOn(actor, TENANT));
  assert.equal(enter(user('reader')), to.tenant(TENANT.name));
  assert.equal(enter(user('auditor')), to.tenantAudit(TENANT.name));
  assert.equal(enter(user(null, 'admin')), to.settings(TENANT.name));
  assert.equal(enter(user(null, 'operator')), to.settings(TENANT.name, 'vault'));
});

test('addresses of pages lead to those pages, names with a slash included', () => {
  const route = (address: string) => parseRoute(address).route;
  assert.deepEqual(route(to.settings('a/b', 'keys')), { page: 'settings', tenant: 'a/b', section: 'keys' });
  assert.deepEqual(route(to.settings('a/b')), { page: 'settings', tenant: 'a/b', section: 'overview' });
  assert.deepEqual(route(to.tenantAudit('a/b')), { page: 'tenant-audit', tenant: 'a/b' });
  assert.deepEqual(route(to.document('a', 'd1', { start: 1, end: 2 })), { page: 'document', tenant: 'a', id: 'd1' });
  const cells = { sheet: 'R&D', range: 'A5:D12' };
  const cited = parseRoute(to.document('a', 'd1', { start: 1, end: 2, cells })).query;
  assert.equal(cited.get('cells'), 'R&D A5:D12');
  for (const page of ['account', 'users', 'appliance', 'audit', 'certificate'] as const) {
    assert.deepEqual(route(to[page]()), { page });
  }
});

test('links of earlier versions lead to the same page as new ones', () => {
  assert.deepEqual(parseRoute('#/link/abc').route, { page: 'setup', token: 'abc' });
  assert.deepEqual(parseRoute('#/setup/abc').route, { page: 'setup', token: 'abc' });
});

test('an address that goes on too long or names no section leads nowhere', () => {
  for (const address of ['#/t/a/settings/nothing', '#/t/a/settings/keys/x', '#/t/a/ledger/x', '#/users/x', '#/setup']) {
    assert.equal(parseRoute(address).route.page, 'unknown', address);
  }
});

test('Retry-After is read as seconds and as a date', () => {
  assert.equal(retrySeconds('30'), 30);
  assert.equal(retrySeconds('Thu, 01 Jan 1970 00:01:30 GMT', 60_000), 30);
  assert.equal(retrySeconds('Thu, 01 Jan 1970 00:00:30 GMT', 60_000), 0);
  assert.equal(retrySeconds(null), null);
  assert.equal(retrySeconds('soon'), null);
});

const problem = (status: number, body: object, retryAfter: string | null = null) =>
  readProblem(status, JSON.stringify(body), retryAfter);

test('a wrong password does not count as having been signed out', () => {
  assert.equal(problem(401, { code: 'bad_credentials' }).signedOut, false);
  assert.equal(problem(401, { code: 'totp_required' }).signedOut, false);
  assert.equal(problem(401, { code: 'unauthenticated' }).signedOut, true);
  assert.equal(problem(403, { code: 'forbidden' }).signedOut, false);
});

test('a refused code tells what the appliance says about the clocks', () => {
  const skew = problem(401, { code: 'totp_required', title: 'A code is needed', detail: 'this code is of another time' });
  assert.deepEqual(refusal(skew, true), {
    title: 'This code is not accepted',
    detail: 'This code is of another time.',
  });
});

test('a wrong password is a wrong password in the second step, too', () => {
  const wrong = problem(401, { code: 'bad_credentials', title: 'Wrong', detail: 'the name or the password is wrong' });
  assert.equal(refusal(wrong, true).title, 'Name or password is wrong');
});

test('a detail becomes a sentence once', () => {
  assert.equal(sentence('the link is dead'), 'The link is dead.');
  assert.equal(sentence('The link is dead.'), 'The link is dead.');
  assert.equal(sentence('éric waits'), 'Éric waits.');
  assert.equal(sentence('  '), '');
});

test('somebody who tried too often learns how long to wait', () => {
  assert.match(refusal(problem(429, { code: 'too_many_attempts' }, '90'), false).detail, /Wait 2 min/);
});

test('a key ends after its days, or never', () => {
  assert.equal(expiryOf(30, 0), '1970-01-31T00:00:00.000Z');
  assert.equal(expiryOf(null), undefined);
});

test('an expiry is far, soon or over', () => {
  const now = Date.parse('2024-03-04T00:00:00Z');
  assert.equal(remaining(null, now), 'none');
  assert.equal(remaining('2024-05-01T00:00:00Z', now), 'far');
  assert.equal(remaining('2024-03-09T00:00:00Z', now), 'soon');
  assert.equal(remaining('2024-03-04T00:00:00Z', now), 'over');
});

test('a browser is named by what it is, not by what it claims to be like', () => {
  const like = 'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36';
  assert.equal(agentName(like), 'Chrome on Windows');
  assert.equal(agentName(`${like} Edg/120.0`), 'Edge on Windows');
  assert.equal(agentName('curl/8.5.0'), 'curl');
  assert.equal(agentName(null), 'Unknown browser');
});

test('a drawing with letters beyond ASCII survives its way into an address', () => {
  const address = svgAddress('<svg xmlns="http://www.w3.org/2000/svg"><title>Käthe 🪨</title></svg>');
  const [head = '', data = ''] = address.split(',');
  assert.equal(head, 'data:image/svg+xml;base64');
  assert.match(Buffer.from(data, 'base64').toString('utf8'), /Käthe 🪨/);
});

test('the name of a download comes from the header, unless it would lead to another folder', () => {
  assert.equal(nameInHeader('attachment; filename="demo.cairn"'), 'demo.cairn');
  assert.equal(nameInHeader('attachment; filename="../demo"'), null);
  assert.equal(nameInHeader('attachment'), null);
  assert.equal(nameInHeader(null), null);
});
