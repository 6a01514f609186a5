// Smoke test of the dashboard in a real browser against a running appliance.
//
// Called by the Rust test that starts the server; by hand:
//   BASE_URL=http://127.0.0.1:8420 USER_NAME=… USER_PASSWORD=… TENANT=demo node tests/browser/smoke.mjs
// The user is an owner of the tenant. With LINK_TOKEN, the end of a one-time link, the page first
// gives that user this password; the first administrator then becomes an owner by the page, too.
// Needs `npm ci` in assets/dashboard and Chromium at /usr/bin/chromium (or CHROMIUM).
// Prints a line per step and `N passed, N failed`; exits with 1 unless all passed.
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(new URL('../../assets/dashboard/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const base = new URL(required('BASE_URL')).origin;
const userName = required('USER_NAME');
const userPassword = required('USER_PASSWORD');
const link = process.env.LINK_TOKEN ?? '';
const tenant = required('TENANT');
const STEP_MS = 15_000;
const INDEX_MS = 90_000;

// A word no other document holds, so that a find proves this upload. The letters outside the
// basic plane in front of it move every offset that is counted in the wrong unit.
const word = `zirconium${Date.now().toString(36)}`;
const fileName = `smoke-${word}.txt`;
const text = [
  'Field notes from the quarry 🪨🪨🪨, 𝒳 marks the spot.',
  `The inspector found ${word} in the northern wall of the quarry on 4 March 2024.`,
  'Nothing else of interest was seen that day.',
].join('\n\n');

// Large enough to go in two parts, and of a kind that is kept and not read.
const largeName = `large-${word}.bin`;
const scratch = mkdtempSync(join(tmpdir(), 'cairn-smoke-'));
const PART_BYTES = 16 * 2 ** 20;
/** A PDF of two pages; the word is on the second one. */
const printed = `copperplate${Date.now().toString(36)}`;
const pdf = [
  '%PDF-1.4',
  '1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj',
  '2 0 obj<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>endobj',
  ...['The minutes begin on this page.', `The ${printed} was found on the second page.`].flatMap((said, index) => {
    const content = `BT /F1 14 Tf 72 700 Td (${said}) Tj ET`;
    return [
      `${3 + index} 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents ${5 + index} 0 R` +
        '/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj',
      `${5 + index} 0 obj<</Length ${content.length}>>stream\n${content}\nendstream endobj`,
    ];
  }),
  'trailer<</Root 1 0 R>>\n%%EOF\n',
].join('\n');

const troubles = [];
/** Statuses that a step asks for on purpose, NaN for a lost connection; the browser reports each as an error. */
let expected = [];
let passed = 0;
let failed = 0;

function required(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

async function step(name, action, statuses = []) {
  const before = troubles.length;
  expected = statuses;
  try {
    await action();
    const found = troubles.slice(before);
    if (found.length > 0) throw new Error(found.join('\n    '));
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n    ${error instanceof Error ? error.message : error}`);
  }
}

function check(condition, message) {
  if (!condition) throw new Error(message);
}

/** The code that an authenticator shows now for a secret in base 32 (RFC 6238). */
function timeCode(secret) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'));
  const key = Buffer.from(bits.join('').match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', key).update(step).digest();
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** Watches for everything that must never happen on this page. */
async function watch(page) {
  page.on('console', (message) => {
    if (message.type() !== 'error') return;
    const status = Number(/the server responded with a status of (\d+)/.exec(message.text())?.[1]);
    if (!expected.includes(status)) troubles.push(`console error: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => troubles.push(`uncaught error: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    const local = url.protocol === 'data:' || url.protocol === 'blob:' || url.origin === base;
    if (!local) troubles.push(`request to another origin: ${request.url()}`);
  });
  await page.exposeFunction('reportViolation', (what) => troubles.push(`content security policy: ${what}`));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});

async function steps() {
  const page = await browser.newPage({ viewport: { width: 1200, height: 850 }, reducedMotion: 'reduce' });
  page.setDefaultTimeout(STEP_MS);
  await watch(page);
  const home = `${base}/#/t/${encodeURIComponent(tenant)}`;
  const box = page.getByLabel('Search or ask', { exact: true });
  const hit = page.locator('article', { hasText: word }).first();

  await step('the server sends a strict content security policy', async () => {
    const response = await page.request.get(`${base}/`);
    const policy = response.headers()['content-security-policy'] ?? '';
    for (const rule of ["default-src 'self'", "script-src 'self'", "style-src 'self'", "object-src 'none'"]) {
      check(policy.includes(rule), `the policy lacks ${rule}: ${policy || 'no header'}`);
    }
    check(!policy.includes('unsafe'), `the policy allows something unsafe: ${policy}`);
  });

  const account = page.getByRole('button', { name: `Account: ${userName}` });

  async function signIn(password) {
    await page.getByLabel('Name', { exact: true }).fill(userName);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  }

  async function signOut() {
    await account.click();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await page.getByRole('heading', { name: 'Sign in to Cairn' }).waitFor();
  }

  if (link) {
    await step('a one-time link sets a password, signs in, and leaves the address', async () => {
      await page.goto(`${base}/#/setup/${encodeURIComponent(link)}`);
      const submit = page.getByRole('button', { name: /^(Create the account|Set the password)$/ });
      await submit.waitFor();
      const name = page.getByLabel('Name', { exact: true });
      if (await name.isEditable()) await name.fill(userName);
      await page.getByLabel('New password', { exact: true }).fill('too short');
      check(await submit.isDisabled(), 'a password of nine letters is offered to be sent');
      await page.getByLabel('New password', { exact: true }).fill(userPassword);
      await page.getByLabel('The same once more', { exact: true }).fill(userPassword);
      await submit.click();
      await account.waitFor();
      await page.waitForURL((url) => !url.hash.includes(link));
    });
    if (failed > 0) return;

    await step('the first administrator becomes an owner of the tenant by the page', async () => {
      await page.goto(`${home}/settings/members`);
      await page.getByRole('heading', { name: 'Members', exact: true }).waitFor();
      await page.getByRole('button', { name: 'Add a member' }).click();
      await page.getByLabel('Name of the user').fill(userName);
      await page.getByRole('radio', { name: /^Owner/ }).check();
      await page.getByRole('button', { name: 'Add', exact: true }).click();
      await page.locator('section li', { hasText: userName }).getByText('Owner', { exact: true }).waitFor();
      await signOut();
    });
  }

  await step(
    'a wrong password is refused in words, and the right one opens a session',
    async () => {
      await page.goto(`${base}/`);
      await signIn(`not ${userPassword}`);
      await page.getByRole('alert').getByText('Name or password is wrong').waitFor();
      await signIn(userPassword);
      await account.waitFor();
    },
    [401],
  );
  // Without a session every further step would only wait for its time limit.
  if (failed > 0) return;

  await step('the tenant page shows the box and the drop zone', async () => {
    await page.goto(home);
    await box.waitFor();
    await page.getByText('Drop files or folders here').waitFor();
  });

  await step('a file chosen in the file field is uploaded', async () => {
    await page.setInputFiles('[data-files]', {
      name: fileName,
      mimeType: 'text/plain',
      buffer: Buffer.from(text),
    });
    await page.getByRole('heading', { name: /^1 file uploaded$/ }).waitFor();
  });

  await step('the page shows by itself that the file is indexed', async () => {
    const row = page.locator('section[aria-label="Uploads"] li', { hasText: fileName });
    await row.getByText('indexed', { exact: true }).waitFor({ timeout: INDEX_MS });
    await page.locator('[data-waiting="0"]').waitFor({ timeout: INDEX_MS });
    await page.getByRole('link', { name: 'Open the ledger' }).waitFor();
  });

  await step(
    'a large file goes on after a lost connection, a pause and a new page',
    async () => {
      const large = join(scratch, largeName);
      writeFileSync(large, randomBytes(PART_BYTES + 4 * 2 ** 20));
      const asked = [];
      let held = 0;
      await page.route(/\/uploads(\/[^/]+)?$/, async (route) => {
        const request = route.request();
        const offset = request.headers()['upload-offset'];
        asked.push(`${request.method()} ${offset ?? ''}`.trim());
        if (request.method() !== 'PATCH' || offset === '0' || held > 1) return route.continue();
        held += 1;
        // The second part meets a broken connection, then one that says nothing more.
        if (held === 1) await route.abort('connectionreset');
      });
      await page.setInputFiles('[data-files]', large);
      await page.getByRole('progressbar', { name: largeName }).waitFor();
      await page.waitForFunction(() => document.body.textContent.includes('trying again'));
      while (held < 2) await page.waitForTimeout(100);
      await page.getByRole('button', { name: `Pause ${largeName}` }).click();
      await page.getByRole('heading', { name: 'Uploads rest' }).waitFor();
      check(asked.filter((one) => one === 'POST').length === 1, `it was begun more than once: ${asked}`);
      asked.length = 0;
      await page.reload();
      await page.getByText('Drop files or folders here').waitFor();
      await page.setInputFiles('[data-files]', large);
      await page.getByRole('heading', { name: /^1 file uploaded$/ }).waitFor({ timeout: INDEX_MS });
      check(asked.join(', ') === `HEAD, PATCH ${PART_BYTES}`, `it did not go on where it was: ${asked}`);
      await page.unroute(/\/uploads(\/[^/]+)?$/);
      const left = await page.evaluate(() => Object.keys(localStorage).filter((name) => name.includes('upload')));
      check(left.length === 0, `the browser still remembers ${left}`);
    },
    [Number.NaN],
  );

  await step('the slash key leads to the box, and Enter searches', async () => {
    await page.locator('h1').click();
    await page.keyboard.press('/');
    await page.keyboard.type(word);
    await page.keyboard.press('Enter');
    await hit.waitFor();
  });

  await step('the word is highlighted, exactly', async () => {
    const mark = hit.locator('mark').first();
    await mark.waitFor();
    check((await mark.textContent()) === word, `<mark> holds "${await mark.textContent()}", not "${word}"`);
  });

  await step('a result says why it is there and which dates it has', async () => {
    await hit.getByRole('button', { name: 'Why this?' }).click();
    await hit.getByText('BM25').waitFor();
    await hit.locator('.effective').first().waitFor();
  });

  await step('arrow keys walk from the box through the results', async () => {
    await box.focus();
    await page.keyboard.press('ArrowDown');
    check(await page.evaluate(() => document.activeElement?.hasAttribute('data-result')), 'no result has the focus');
  });

  await step('a passage opens the document with that passage highlighted and in sight', async () => {
    await hit.locator('a.passage', { has: page.locator('mark') }).first().click();
    const cited = page.locator('[data-cited]').first();
    await cited.waitFor();
    const all = (await page.locator('[data-cited]').allTextContents()).join('');
    check(all.includes(word), `the highlighted passage is "${all}"`);
    const place = await cited.boundingBox();
    check(place && place.y >= 0 && place.y < 850, `the passage is at ${place?.y} px`);
    await page.getByRole('link', { name: 'Download original' }).waitFor();
  });

  await step('a cited page of a PDF is shown as it looks, and as text again', async () => {
    await page.goto(home);
    await page.setInputFiles('[data-files]', {
      name: `${printed}.pdf`,
      mimeType: 'application/pdf',
      buffer: Buffer.from(pdf),
    });
    const row = page.locator('section[aria-label="Uploads"] li', { hasText: printed });
    await row.getByText('indexed', { exact: true }).waitFor({ timeout: INDEX_MS });
    await box.fill(printed);
    await page.keyboard.press('Enter');
    await page.locator('article', { hasText: printed }).locator('a.passage').first().click();
    await page.locator('[data-cited]').first().waitFor();
    await page.getByRole('button', { name: 'Page', exact: true }).focus();
    await page.keyboard.press('Enter');
    const picture = page.getByRole('img', { name: /^Page 2 of / });
    await picture.waitFor();
    const shown = (image) => image.complete && image.naturalWidth > 0;
    await page.waitForFunction(shown, await picture.elementHandle());
    await page.getByText('Page 2 of 2', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Previous page' }).click();
    await page.getByRole('img', { name: /^Page 1 of / }).waitFor();
    check(await page.getByRole('button', { name: 'Previous page' }).isDisabled(), 'there is a page before the first');
    await page.getByRole('button', { name: 'Text', exact: true }).click();
    await page.getByText('The minutes begin on this page.').first().waitFor();
  });

  await step('a question gets a cited answer or a plain no', async () => {
    await page.goto(home);
    await box.fill(`What did the inspector find in the northern wall of the quarry? ${word}`);
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    const answer = page.locator('.answer');
    const none = page.getByRole('heading', { name: 'Not found in this tenant' });
    await answer.or(none).first().waitFor();
    await page.getByText(/is needed to answer/).waitFor();
    if (await answer.isVisible()) {
      await answer.locator('a').first().click();
      await page.locator('[data-cited]').first().waitFor();
    }
  });

  await step('the ledger lists the file, and its totals add up', async () => {
    await page.getByRole('link', { name: 'Ledger', exact: true }).click();
    await page.getByRole('heading', { name: 'Ledger', exact: true }).waitFor();
    await page.locator('tr', { hasText: fileName }).first().waitFor();
    const number = async (locator) => Number((await locator.textContent()).replace(/\D/g, ''));
    const cards = await page.locator('section[aria-label="Totals"] li .number').all();
    const sum = (await Promise.all(cards.map(number))).reduce((a, b) => a + b, 0);
    const received = await number(page.locator('section[aria-label="Totals"] .sum'));
    check(received > 0 && sum === received, `${received} received, but the states add up to ${sum}`);
  });

  await step('the audit lists what was read, and its chain is whole', async () => {
    await page.getByRole('link', { name: 'Audit', exact: true }).click();
    await page.getByRole('cell', { name: 'document.read' }).first().waitFor();
    await page.getByRole('button', { name: 'Verify the chain' }).click();
    await page.getByText('The chain is whole.').waitFor();
    await page.getByRole('button', { name: /^Details of entry/ }).first().click();
    await page.getByText('Hash before').waitFor();
  });

  await step('the settings show usage and members', async () => {
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByRole('progressbar', { name: 'Documents', exact: true }).waitFor();
    await page.getByRole('link', { name: 'Members', exact: true }).click();
    await page.locator('section li', { hasText: userName }).getByText('Owner', { exact: true }).waitFor();
  });

  await step(
    'a key is shown once, or the tier is named as the reason',
    async () => {
      await page.getByRole('link', { name: 'API keys', exact: true }).click();
      await page.getByLabel('Name of a new key').fill(word);
      await page.getByRole('button', { name: 'Create key' }).click();
      const shown = page.getByText('copy this key now');
      await shown.or(page.getByText('not_in_tier')).first().waitFor();
      if (!(await shown.isVisible())) return;
      await page.getByRole('button', { name: `Revoke ${word}` }).click();
      await page.getByRole('button', { name: 'Revoke', exact: true }).click();
      await shown.waitFor({ state: 'detached' });
    },
    [403],
  );

  await step(
    'a second factor is set up by its picture, and a recovery code stands in for it',
    async () => {
      await page.goto(`${base}/#/account`);
      await page.getByRole('button', { name: 'Set it up' }).click();
      const asked = page.getByRole('dialog');
      await asked.getByLabel('Password', { exact: true }).fill(userPassword);
      await asked.getByRole('button', { name: 'Go on' }).click();
      const picture = page.getByRole('img', { name: /QR code/ });
      await picture.waitFor();
      check(await picture.evaluate((image) => image.complete && image.naturalWidth > 0), 'the QR code is not drawn');
      const secret = (await page.locator('section', { has: picture }).locator('code').textContent()).replace(/\s/g, '');
      await page.getByLabel('Code it shows now').fill(timeCode(secret));
      await page.getByRole('button', { name: 'Switch it on' }).click();
      await page.getByText(`Recovery codes of ${userName}`).waitFor();
      const recovery = await page.locator('ol code').first().textContent();
      await signOut();
      await signIn(userPassword);
      await page.getByRole('button', { name: 'Use a recovery code instead' }).click();
      await page.getByLabel('Recovery code', { exact: true }).fill(recovery);
      await page.getByRole('button', { name: 'Confirm', exact: true }).click();
      await account.waitFor();
    },
    [401],
  );

  await step('nothing sticks out of a 360 px wide screen', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const parts = ['', '/ledger', `/search?q=${word}`, '/audit', '/settings', '/settings/members', '/settings/keys', '/settings/vault'];
    const places = ['tenants', 'api', 'account', 'certificate'];
    for (const address of [...parts.map((part) => home + part), ...places.map((place) => `${base}/#/${place}`)]) {
      await page.goto(address);
      await page.locator('h1').first().waitFor({ state: 'attached' });
      await page.waitForTimeout(300);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(over <= 0, `${address} is ${over} px too wide`);
    }
  });

  await step('nothing went wrong between the steps', async () => {
    check(troubles.length === 0, [...new Set(troubles)].join('\n    '));
  });
}

try {
  await steps();
} finally {
  rmSync(scratch, { recursive: true, force: true });
  await browser.close();
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
