/** The page at /docs of the operator's API, as an operator opens it: offline, with a token. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDataSpace, type DataSpace, type Participant } from '../src/connectors.ts';
import { findChromium, launchChromium } from './chromium.ts';

const executable = findChromium();
const output = join(import.meta.dirname, '..', 'output');
const desktop = { width: 1280, height: 900 };

if (executable === null) console.log('The browser tests are skipped: no Chromium found. Set CHROMIUM_PATH to one.');

describe.skipIf(executable === null && process.env['CI'] === undefined)(
  'the page about the operator’s API',
  { timeout: 60_000 },
  () => {
    let space: DataSpace;
    let node: Participant;
    let token: string;
    let browser: Browser;
    let page: Page;
    const complaints: string[] = [];
    const strangers: string[] = [];

    beforeAll(async () => {
      if (executable === null) throw new Error('No Chromium found. Install it, or set CHROMIUM_PATH.');
      await mkdir(output, { recursive: true });
      space = await createDataSpace();
      node = await space.join('node');
      ({ token } = await node.operator.createToken({ name: 'reader', scope: 'read' }));
      browser = await launchChromium(executable);
      const httpCredentials = { username: 'me', password: token };
      page = await browser.newPage({ httpCredentials, viewport: desktop, colorScheme: 'light' });
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      page.on('request', (request) => {
        const { protocol, origin } = new URL(request.url());
        if (protocol !== 'data:' && origin !== node.connector.managementUrl) strangers.push(request.url());
      });
      await page.goto(`${node.connector.managementUrl}/docs`);
      await page.locator('.opblock').first().waitFor();
    });
    afterAll(async () => {
      await browser.close();
      await space[Symbol.asyncDispose]();
    });

    test('shows every call, and answers one that is tried with a token', async () => {
      const description = await fetch(`${node.connector.managementUrl}/openapi.json`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const { paths } = (await description.json()) as { paths: Record<string, object> };
      const calls = Object.values(paths).flatMap((path) => Object.keys(path));
      expect(await page.locator('.opblock').count()).toBe(calls.length);
      await page.screenshot({ path: join(output, 'operator-docs-light.png') });

      await page.click('.authorize');
      await page.fill('.auth-container input', token);
      await page.click('.modal-btn.authorize');
      await page.click('.btn-done');
      await page.click('#operations-Tokens-getCaller .opblock-summary-control');
      await page.click('#operations-Tokens-getCaller .try-out__btn');
      await page.click('#operations-Tokens-getCaller .execute');
      const answer = page.locator('#operations-Tokens-getCaller .live-responses-table .highlight-code').first();
      expect(await answer.textContent()).toContain('"scope": "read"');
    });

    test('is dark where the system is', async () => {
      await page.emulateMedia({ colorScheme: 'dark' });
      const example = page.locator('#operations-Tokens-createToken');
      await example.locator('.opblock-summary-control').click();
      expect(await example.locator('.highlight-code').first().textContent()).toContain('"scope": "read"');
      const background = await page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
      const [red = 255] = /\d+/.exec(String(background))?.map(Number) ?? [];
      expect(red).toBeLessThan(80);
      await page.screenshot({ path: join(output, 'operator-docs-dark.png') });
    });

    test('fits a phone', async () => {
      await page.setViewportSize({ width: 390, height: 844 });
      await page.click('#operations-Negotiations-listNegotiations .opblock-summary-control');
      await page.locator('#operations-Negotiations-listNegotiations .parameters-container').waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
      await page.screenshot({ path: join(output, 'operator-docs-phone.png') });
    });

    test('asks nobody else for anything, and has nothing to complain about', () => {
      expect(strangers).toEqual([]);
      expect(complaints).toEqual([]);
    });
  },
);
