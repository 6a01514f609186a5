// Smoke test of the dashboard in a real browser against a running appliance.
//
// Called by the Rust test that starts the server; by hand:
//   BASE_URL=http://127.0.0.1:8420 LINK_TOKEN=… TENANT=demo node tests/browser/smoke.mjs
// Needs `npm ci` in assets/dashboard and Chromium at /usr/bin/chromium (or CHROMIUM).
// Prints a line per step and `N passed, N failed`; exits with 1 unless all passed.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../assets/dashboard/package.json', import.meta.url));
const { chromium } = require('playwright-core');

const base = new URL(required('BASE_URL')).origin;
const link = required('LINK_TOKEN');
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

const troubles = [];
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

async function step(name, action) {
  const before = troubles.length;
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

/** Watches for everything that must never happen on this page. */
async function watch(page) {
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(`console error: ${message.text()} (${message.location().url})`);
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

  await step('the one-time link opens a session and leaves the address', async () => {
    await page.goto(`${base}/#/link/${encodeURIComponent(link)}`);
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.waitForURL((url) => !url.hash.includes(link));
  });
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

  await step('nothing sticks out of a 360 px wide screen', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    for (const address of [home, `${home}/ledger`, `${home}/search?q=${word}`, `${base}/#/api`]) {
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
  await browser.close();
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
